//! What the command line says of a stack that cannot be looked up: one readable line. Nothing but loopback is
//! reached for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Instant;

use crate::process::BINARY;
use crate::support::PATIENCE;

/// What `log --stack x` says with these variables, and no others.
fn said(variables: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let output = Command::new(BINARY)
        .args(["log", "--stack", "x"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        // The address that credentials of a machine come from is no loopback.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.lines().count() == 1 && error.len() < 400, "{error}");
    error.trim_end().to_owned()
}

/// Credentials of nobody, and where to go with them.
fn nobody(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", "nobody"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
}

/// Answers every request in this way, for as long as the test runs.
fn answering(status: &'static str, headers: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let head = BufReader::new(connection.try_clone().unwrap()).lines();
            head.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let length = body.len();
            let _ = write!(
                connection,
                "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn nobody_listens() {
    // No program of this machine has this port by chance.
    assert_eq!(
        said(&nobody("http://127.0.0.1:1")),
        "error: the stack x cannot be looked up: the connection was refused"
    );
}

#[test]
fn there_are_no_credentials() {
    let said = said(&[]);
    assert!(
        said.starts_with("error: the stack x cannot be looked up: no credentials were found: "),
        "{said}"
    );
    assert!(said.contains("AWS_PROFILE"), "{said}");
}

#[test]
fn there_is_no_region() {
    let said = said(&nobody("")[..2]);
    assert!(said.starts_with("error: the stack x cannot be looked up: no region is set: "), "{said}");
}

#[test]
fn the_credentials_may_not() {
    let endpoint = answering(
        "403 Forbidden",
        "x-amzn-errortype: AccessDeniedException\r\nx-amzn-requestid: 7\r\n",
        r#"{"Message":"User: nobody is not authorized to perform: lambda:GetFunctionConfiguration"}"#,
    );
    assert_eq!(
        said(&nobody(&endpoint)),
        "error: the stack x cannot be looked up: AccessDeniedException: User: nobody is not authorized to perform: \
         lambda:GetFunctionConfiguration (request 7)"
    );
}

#[test]
fn there_is_no_such_stack() {
    let endpoint = answering("404 Not Found", "x-amzn-errortype: ResourceNotFoundException\r\n", "{}");
    assert_eq!(
        said(&nobody(&endpoint)),
        "error: this account and region have no function x-actions: is x the name of the stack?"
    );
}
