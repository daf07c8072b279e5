//! Bucket names, and what follows from them and a region.

use std::net::Ipv4Addr;

const PREFIXES: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
const SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Why `name` can't be a bucket's, or nothing.
///
/// Source: the service's naming rules for general purpose buckets.
pub(crate) fn fault(name: &str) -> Option<String> {
    let letters = name.len();
    if !(3..=63).contains(&letters) {
        return Some(format!(
            "a bucket's name has 3 to 63 characters, `{name}` has {letters}"
        ));
    }
    if let Some(wrong) = name.chars().find(|c| !is_plain(*c) && *c != '.' && *c != '-') {
        return Some(format!(
            "a bucket's name holds a-z, 0-9, `.` and `-` only; `{name}` holds `{wrong}`"
        ));
    }
    if !name.starts_with(is_plain) || !name.ends_with(is_plain) {
        return Some(format!(
            "a bucket's name starts and ends with a letter or digit: `{name}`"
        ));
    }
    if name.contains("..") {
        return Some(format!("a bucket's name has no two dots in a row: `{name}`"));
    }
    if name.parse::<Ipv4Addr>().is_ok() {
        return Some(format!("a bucket's name isn't an IP address: `{name}`"));
    }
    if let Some(prefix) = PREFIXES.iter().find(|prefix| name.starts_with(**prefix)) {
        return Some(format!("a bucket's name doesn't start with `{prefix}`: `{name}`"));
    }
    let suffix = SUFFIXES.iter().find(|suffix| name.ends_with(**suffix))?;
    Some(format!("a bucket's name doesn't end with `{suffix}`: `{name}`"))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// The partition of `region`; `aws` where the region isn't known.
pub(crate) fn partition(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        Some(region) if region.starts_with("cn-") => "aws-cn",
        _ => "aws",
    }
}

/// The domain under which the services of `region` are reached.
pub(crate) fn domain(region: &str) -> &'static str {
    match partition(Some(region)) {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    }
}

/// Whether a host is the service's own, and not that of a store of another maker.
pub(crate) fn is_service(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// The bucket's ARN.
pub(crate) fn arn(name: &str, region: Option<&str>) -> String {
    format!("arn:{}:s3:::{name}", partition(region))
}

/// The region that a location constraint means: none is us-east-1, and `EU` is what eu-west-1 was once called.
pub(crate) fn region_of_location(location: &str) -> &str {
    match location {
        "" | "US" => "us-east-1",
        "EU" => "eu-west-1",
        other => other,
    }
}

/// Whether `text` can be a region: it becomes a part of a host's name.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| is_plain(c) || c == '-')
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_service_takes_are_taken() {
        for name in [
            "abc",
            "managed-velero-backups-f4db658b-43ba-4b19-8ad2-b617b009e2ff",
            "a.b",
            "1bucket",
        ] {
            assert_eq!(fault(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_the_service_refuses_are_refused() {
        for name in [
            "ab",
            &"a".repeat(64),
            "Upper",
            "under_score",
            "-a-b",
            "a-b-",
            ".abc",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "amzn-s3-demo-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc--table-s3",
            "über",
            "a/b",
            "a b",
        ] {
            assert!(fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_partition_follows_from_the_region() {
        assert_eq!(arn("b", Some("eu-west-1")), "arn:aws:s3:::b");
        assert_eq!(arn("b", Some("us-gov-west-1")), "arn:aws-us-gov:s3:::b");
        assert_eq!(arn("b", Some("cn-north-1")), "arn:aws-cn:s3:::b");
        assert_eq!(arn("b", None), "arn:aws:s3:::b");
        assert_eq!(domain("cn-north-1"), "amazonaws.com.cn");
    }

    #[test]
    fn the_locations_of_old_are_regions() {
        assert_eq!(region_of_location(""), "us-east-1");
        assert_eq!(region_of_location("EU"), "eu-west-1");
        assert_eq!(region_of_location("us-east-2"), "us-east-2");
    }

    #[test]
    fn a_region_can_not_carry_a_host() {
        assert!(is_region("us-east-2"));
        for text in ["", "a.b", "a/b", "a@b", "-a", "a-", "evil.example#"] {
            assert!(!is_region(text), "{text}");
        }
    }
}
