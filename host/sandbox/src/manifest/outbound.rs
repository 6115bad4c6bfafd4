//! Hosts that a component may call: the entries of `allowed_outbound_hosts`.

use super::EntryError;
use std::ops::RangeInclusive;

/// Entry `scheme://host[:port]`, where each part may be `*` for any, the host may begin with `*.` for any subdomain,
/// and the port may be a range `8000..8100` that excludes its end.
///
/// The syntax is Spin's, without `self` and networks such as `10.0.0.0/8`, which nothing here needs yet. Both are
/// refused, never read as something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundHost {
    /// None means any.
    scheme: Option<String>,
    host: Host,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// Suffix with its leading dot.
    SubdomainOf(String),
    Exactly(String),
}

impl OutboundHost {
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        parts(text).map_err(|reason| EntryError::OutboundHost { host: text.to_owned(), reason })
    }

    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let host = host.to_ascii_lowercase();
        self.scheme.as_deref().is_none_or(|allowed| allowed == scheme)
            && port.or_else(|| default_port(scheme)).is_some_and(|port| self.ports.contains(&port))
            && match &self.host {
                Host::Any => true,
                Host::SubdomainOf(suffix) => host.ends_with(suffix.as_str()),
                Host::Exactly(allowed) => host == *allowed,
            }
    }
}

fn parts(text: &str) -> Result<OutboundHost, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        // The colons inside [::1] do not separate a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    Ok(OutboundHost {
        scheme: (scheme != "*").then(|| scheme.to_owned()),
        host: parse_host(&host.to_ascii_lowercase())?,
        ports: parse_ports(scheme, port)?,
    })
}

fn parse_host(host: &str) -> Result<Host, &'static str> {
    match host {
        "" => Err("it has no host"),
        "*" => Ok(Host::Any),
        "self" | "self.alt" => Err("self is not understood here; name the host"),
        _ if host.contains(['/', '@', '?', '#']) => Err("it is more than a host"),
        _ => match host.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*') => {
                Ok(Host::SubdomainOf(suffix.to_owned()))
            }
            None if !host.contains('*') => Ok(Host::Exactly(host.to_owned())),
            _ => Err("a * in a host stands alone or for a subdomain, *.example.com"),
        },
    }
}

fn parse_ports(scheme: &str, port: Option<&str>) -> Result<RangeInclusive<u16>, &'static str> {
    const NO_NUMBER: &str = "its port is not a number";
    let single = |port| Ok(port..=port);
    match port {
        None => default_port(scheme).map_or(Err("its scheme has no usual port, so it needs one"), single),
        Some("*") => Ok(0..=u16::MAX),
        Some(port) => match port.split_once("..") {
            None => port.parse().map_or(Err(NO_NUMBER), single),
            Some((start, end)) => {
                let (start, end): (u16, u16) = start.parse().ok().zip(end.parse().ok()).ok_or(NO_NUMBER)?;
                if start < end { Ok(start..=end - 1) } else { Err("its range of ports is empty") }
            }
        },
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, scheme: &str, host: &str, port: Option<u16>) -> bool {
        OutboundHost::parse(entry).expect(entry).allows(scheme, host, port)
    }

    #[test]
    fn scheme_host_and_port_must_all_agree() {
        let entry = "http://127.0.0.1:9100";
        assert!(allows(entry, "http", "127.0.0.1", Some(9100)));
        assert!(!allows(entry, "https", "127.0.0.1", Some(9100)));
        assert!(!allows(entry, "http", "127.0.0.2", Some(9100)));
        assert!(!allows(entry, "http", "127.0.0.1", Some(9101)));
        assert!(!allows(entry, "http", "127.0.0.1", None));
    }

    #[test]
    fn an_absent_port_is_the_usual_one() {
        assert!(allows("https://Example.com", "https", "example.COM", None));
        assert!(allows("https://example.com/", "https", "example.com", Some(443)));
        assert!(!allows("https://example.com", "https", "example.com", Some(8443)));
        assert!(allows("http://[::1]:9100", "http", "[::1]", Some(9100)));
    }

    #[test]
    fn wildcards_stand_for_any() {
        assert!(allows("*://*:*", "http", "anything", Some(1)));
        assert!(allows("https://*.example.com", "https", "a.example.com", None));
        assert!(!allows("https://*.example.com", "https", "example.com", None));
        assert!(!allows("https://*.example.com", "https", "a.notexample.com", None));
        assert!(allows("http://host:80..82", "http", "host", Some(81)));
        assert!(!allows("http://host:80..82", "http", "host", Some(82)));
    }

    #[test]
    fn what_is_no_outbound_host_is_refused() {
        for entry in [
            "",
            "*",
            "example.com",
            "http://",
            "http://a/b",
            "http://self",
            "http://10.0.0.0/8",
            "ftp://x",
            "http://a:b",
            "http://a:9..9",
            "http://a*b",
            "http://*.*.b",
            "http://user@host",
            "http://*.",
        ] {
            assert!(OutboundHost::parse(entry).is_err(), "{entry}");
        }
    }
}
