//! Which URLs may be POSTed to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// How far requests may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything, http included: of the local product.
    Local,
    /// https, and addresses that anybody can reach: of a deployed one.
    Public,
}

impl Reach {
    /// Whether requests may go to an address.
    pub fn includes(self, address: IpAddr) -> bool {
        self == Self::Local || is_routable(address)
    }
}

/// The URL of an endpoint. Its path may hold a token: it prints scheme and host only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(Url);

impl TryFrom<String> for EndpointUrl {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<EndpointUrl> for String {
    fn from(EndpointUrl(url): EndpointUrl) -> Self {
        url.into()
    }
}

/// A URL is none that can be POSTed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is none.
    #[error("`url` is a URL like https://example.com/webhooks, of at most 2,000 bytes.")]
    Form,
    /// It is not https.
    #[error("`url` starts with https://.")]
    Scheme,
    /// It names a user or a password, which would be sent in clear text to whoever reads logs.
    #[error("`url` names no user and no password: put a token into the path or the query.")]
    UserInfo,
    /// It has a fragment, which no request carries.
    #[error("`url` has no fragment (#).")]
    Fragment,
    /// Nobody outside can reach it.
    #[error(transparent)]
    Address(#[from] NotRoutable),
}

/// An address is not globally routable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is not globally routable")]
pub struct NotRoutable(pub IpAddr);

impl EndpointUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn read(text: &str, reach: Reach) -> Result<Self, UrlError> {
        /// As long as most programs take.
        const LONGEST: usize = 2000;
        let url = Url::parse(text.trim()).ok().filter(|url| url.as_str().len() <= LONGEST && url.has_host());
        let url = Self(url.ok_or(UrlError::Form)?);
        match url.0.scheme() {
            "https" => {}
            "http" if reach == Reach::Local => {}
            "http" => return Err(UrlError::Scheme),
            _ => return Err(UrlError::Form),
        }
        if !url.0.username().is_empty() || url.0.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        if url.0.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        url.check(reach)?;
        Ok(url)
    }

    /// Checks the address, where the host is one. A name is checked when it is looked up.
    ///
    /// # Errors
    /// [`NotRoutable`].
    pub fn check(&self, reach: Reach) -> Result<(), NotRoutable> {
        let address = match self.0.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if reach.includes(address) { Ok(()) } else { Err(NotRoutable(address)) }
    }

    /// The whole URL.
    pub fn reveal(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        let rest = if self.0.path() == "/" && self.0.query().is_none() { "/" } else { "/…" };
        write!(f, "{}://{}{port}{rest}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}

/// Whether an address is globally routable, and not a way around that: no address that stands for another one
/// (IANA, "IPv4 Special-Purpose Address Registry" and "IPv6 Special-Purpose Address Registry").
fn is_routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_routable_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_routable_v4(address),
            None => is_routable_v6(address),
        },
    }
}

fn is_routable_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0 // this network
        || a == 10
        || a == 127
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // shared with a carrier
        || (a == 169 && b == 254) // link-local: the metadata of a machine
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2)) // protocol assignments, documentation
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || (a == 198 && b == 51 && c == 100) // documentation
        || (a == 203 && b == 0 && c == 113)) // documentation
}

fn is_routable_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3. NAT64 (64:ff9b::/96), unique local, link-local, multicast and loopback are not in it.
    let is_global_unicast = a & 0xe000 == 0x2000;
    // Of 2001::/16 protocol assignments (Teredo, ORCHID, benchmarks), and documentation.
    let is_special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        || a == 0x2002 // 6to4
        || (a == 0x3fff && b < 0x1000); // documentation
    is_global_unicast && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_routable_is_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "0.0.0.0",
            "0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "172.16.0.1",
            "192.168.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:169.254.169.254]",
            "[::7f00:1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::8.8.8.8]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[100::1]",
            "[fec0::1]",
            "１２７.0.0.1",
            "①27.0.0.1",
        ] {
            let url = format!("https://{host}/x");
            let refused = EndpointUrl::read(&url, Reach::Public);
            assert!(matches!(refused, Err(UrlError::Address(_))), "{url}: {refused:?}");
            assert!(EndpointUrl::read(&url, Reach::Local).is_ok(), "{url}");
        }
        for host in [
            "8.8.8.8",
            "1.1.1.1",
            "[2606:4700::1111]",
            "[::ffff:8.8.8.8]",
            "172.32.0.1",
            "100.128.0.1",
            "example.com",
        ] {
            assert!(EndpointUrl::read(&format!("https://{host}/x"), Reach::Public).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_url_is_https_and_carries_no_password() {
        for (url, refused) in [
            ("http://example.com/", UrlError::Scheme),
            ("ftp://example.com/", UrlError::Form),
            ("example.com", UrlError::Form),
            ("https://", UrlError::Form),
            ("mailto:a@example.com", UrlError::Form),
            ("https://user@example.com/", UrlError::UserInfo),
            ("https://:secret@example.com/", UrlError::UserInfo),
            ("https://example.com/#part", UrlError::Fragment),
        ] {
            assert_eq!(EndpointUrl::read(url, Reach::Public), Err(refused), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(2000));
        assert_eq!(EndpointUrl::read(&long, Reach::Public), Err(UrlError::Form));
        assert!(EndpointUrl::read("http://localhost:3000/hook", Reach::Local).is_ok());
    }

    #[test]
    fn a_url_prints_neither_path_nor_query() {
        for (url, printed) in [
            ("https://example.com/token", "https://example.com/…"),
            ("https://example.com:8443/?t=token", "https://example.com:8443/…"),
            ("https://example.com", "https://example.com/"),
            ("https://[2606:4700::1111]/token", "https://[2606:4700::1111]/…"),
        ] {
            let url = EndpointUrl::read(url, Reach::Public).unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(format!("{url:?}"), format!("EndpointUrl({printed})"));
        }
    }
}
