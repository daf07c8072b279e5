//! Where probes and metrics are served.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

/// What is listened on: the first of these that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen(Vec<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    /// `127.0.0.1:8080`, `[::1]:8080`; `:8080` is every address that the machine has.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is no address; write it like 127.0.0.1:8080, [::1]:8080 or :8080");
        match text.strip_prefix(':') {
            Some(port) => {
                let port: u16 = port.parse().map_err(|_| fault())?;
                // Where there is version 6, the first takes connections of both versions.
                let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
                let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                Ok(Self(vec![v6, v4]))
            }
            None => Ok(Self(vec![text.parse().map_err(|_| fault())?])),
        }
    }
}

impl Listen {
    pub(crate) async fn bind(&self) -> Result<TcpListener, String> {
        let bound = TcpListener::bind(self.0.as_slice()).await;
        bound.map_err(|error| {
            let port = self.0.first().map(SocketAddr::port).unwrap_or_default();
            let place = match self.0.as_slice() {
                [one] => one.to_string(),
                _ => format!("port {port}"),
            };
            format!("nothing can be served at {place}: {error}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_machines_or_all_of_them() {
        let of = |text: &str| text.parse::<Listen>().map(|listen| listen.0);
        assert_eq!(of("127.0.0.1:80"), Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(of("[::1]:80"), Ok(vec!["[::1]:80".parse().unwrap()]));
        let all = vec!["[::]:80".parse().unwrap(), "0.0.0.0:80".parse().unwrap()];
        assert_eq!(of(":80"), Ok(all));
        for wrong in ["", ":", "80", "localhost:80", "::80", ":80000", "::1:80"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn on_every_address_version_4_is_served_too() {
        let listener = ":0".parse::<Listen>().unwrap().bind().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let (client, served) = tokio::join!(client, listener.accept());
        assert!(client.is_ok() && served.is_ok());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = "127.0.0.1:0".parse::<Listen>().unwrap().bind().await.unwrap();
        let address = first.local_addr().unwrap();
        let fault = address
            .to_string()
            .parse::<Listen>()
            .unwrap()
            .bind()
            .await
            .unwrap_err();
        assert!(
            fault.starts_with(&format!("nothing can be served at {address}: ")),
            "{fault}"
        );
    }
}
