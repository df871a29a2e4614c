//! Which addresses the client dials, and what it makes of answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use deliver::post::{Post as _, PostError, Poster};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use shared::endpoints::{EndpointUrl, NotRoutable, Reach};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers each request with the same bytes: its address, and what came, connection by connection.
async fn server(ip: &str, answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            let place = {
                let mut came = noted.lock().unwrap();
                came.push(String::new());
                came.len() - 1
            };
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    noted.lock().unwrap()[place].push_str(&String::from_utf8_lossy(&buffer[..count]));
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (address, came)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfine!";

async fn post(poster: &Poster, url: &str) -> Result<deliver::post::Answer, PostError> {
    let url = EndpointUrl::read(url, Reach::Local).unwrap();
    poster.post(&url, vec![("webhook-id", "evt_1".to_owned())], "{}".to_owned()).await
}

/// Gives one address after the other.
struct Changing(Vec<&'static str>, AtomicUsize);

impl Resolve for Changing {
    fn resolve(&self, _: Name) -> Resolving {
        let number = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        let found: Vec<SocketAddr> =
            self.0[number].split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_dialled() {
    let (address, came) = server("127.0.0.1", OK).await;
    for found in ["127.0.0.1", "10.0.0.1 127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"] {
        let poster =
            Poster::resolving(Reach::Public, Arc::new(Changing(vec![found], AtomicUsize::new(0)))).unwrap();
        let refused = post(&poster, &format!("http://innocent.example:{}/", address.port())).await;
        assert!(matches!(refused, Err(PostError::Address(NotRoutable(_)))), "{found}: {refused:?}");
    }
    assert!(came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_dialled_where_it_was_checked() {
    let (first, came) = server("127.0.0.1", OK).await;
    let names = Arc::new(Changing(vec!["127.0.0.1", "127.0.0.2"], AtomicUsize::new(0)));
    let poster = Poster::resolving(Reach::Local, Arc::clone(&names) as Arc<dyn Resolve>).unwrap();
    post(&poster, &format!("http://changing.example:{}/", first.port())).await.unwrap();
    assert_eq!((came.lock().unwrap().len(), names.1.load(Ordering::SeqCst)), (1, 1), "it was looked up once");
}

#[tokio::test]
async fn an_address_in_the_url_is_refused_without_looking_it_up() {
    let (address, came) = server("127.0.0.1", OK).await;
    let poster = Poster::new(Reach::Public).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
        let refused = post(&poster, &format!("http://{host}:{}/", address.port())).await;
        assert!(matches!(refused, Err(PostError::Address(_))), "{host}: {refused:?}");
    }
    assert!(came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn requests_are_http_1_1_over_kept_connections() {
    let (address, came) = server("127.0.0.1", OK).await;
    let poster = Poster::new(Reach::Local).unwrap();
    for _ in 0..3 {
        let answer = post(&poster, &format!("http://{address}/hook?token=t")).await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (200, "fine!"));
    }
    let came = came.lock().unwrap();
    let [connection] = &came[..] else { panic!("{came:?}") };
    assert_eq!(connection.matches("POST /hook?token=t HTTP/1.1\r\n").count(), 3);
    assert!(
        connection.contains("content-type: application/json\r\n")
            && connection.contains("webhook-id: evt_1\r\n")
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_others() {
    let (target, came) = server("127.0.0.1", OK).await;
    let redirect: &'static str =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n")
            .leak();
    let (address, _) = server("127.0.0.1", redirect).await;
    let answer = post(&Poster::new(Reach::Local).unwrap(), &format!("http://{address}/")).await.unwrap();
    assert_eq!(answer.status, 307);
    assert!(came.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_pause_is_read_in_seconds_and_as_a_date() {
    let poster = Poster::new(Reach::Local).unwrap();
    for (answer, seconds) in [
        ("HTTP/1.1 429 x\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n", Some(120)),
        (
            "HTTP/1.1 503 x\r\ndate: Wed, 21 Oct 2026 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2026 07:30:00 GMT\r\ncontent-length: 0\r\n\r\n",
            Some(120),
        ),
        ("HTTP/1.1 503 x\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n", None),
    ] {
        let (address, _) = server("127.0.0.1", answer).await;
        let answer = post(&poster, &format!("http://{address}/")).await.unwrap();
        assert_eq!(answer.retry_after.map(|pause| pause.as_secs()), seconds, "{answer:?}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_url() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        post(&Poster::new(Reach::Local).unwrap(), &format!("http://{closed}/token")).await.unwrap_err();
    let said = error.to_string();
    assert!(said.to_lowercase().contains("refused") && !said.contains("token"), "{said}");
    let (address, _) = server("127.0.0.1", "no HTTP at all\r\n\r\n").await;
    assert!(post(&Poster::new(Reach::Local).unwrap(), &format!("http://{address}/token")).await.is_err());
}

#[tokio::test]
async fn of_a_long_answer_the_first_bytes_are_kept() {
    let long: &'static str =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "a".repeat(100_000)).leak();
    let (address, _) = server("127.0.0.1", long).await;
    let answer = post(&Poster::new(Reach::Local).unwrap(), &format!("http://{address}/")).await.unwrap();
    assert_eq!((answer.status, answer.text.len()), (200, 256));
}
