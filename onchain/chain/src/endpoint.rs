//! Which endpoint is used, and how.

use std::fmt;

use reqwest::Url;

use crate::transport::RateLimit;

/// A server of Blockfrost's API: hosted, self-run, or the devnet.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its base URL, such as `https://cardano-preprod.blockfrost.io/api/v0` or `http://127.0.0.1:8090/api/v0`.
    pub base_url: String,
    /// The secret that hosted endpoints ask for. It is sent as a header to this endpoint, and shown nowhere.
    pub project_id: Option<String>,
    /// How fast it may be asked; `None`: as fast as it answers.
    pub rate: Option<RateLimit>,
}

impl Endpoint {
    /// An endpoint with the rate limit that it is known for: Blockfrost's own for its hosted service, none for others.
    pub fn new(base_url: &str, project_id: Option<&str>) -> Self {
        let host = Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let hosted = host.is_some_and(|host| host == "blockfrost.io" || host.ends_with(".blockfrost.io"));
        Self {
            base_url: base_url.to_owned(),
            project_id: project_id.map(str::to_owned),
            rate: hosted.then_some(RateLimit::BLOCKFROST),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("base_url", &self.base_url).field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosted_service_is_asked_at_its_pace() {
        let rate = |url| Endpoint::new(url, Some("secret")).rate;
        assert_eq!(rate("https://cardano-preview.blockfrost.io/api/v0"), Some(RateLimit::BLOCKFROST));
        for other in
            ["http://127.0.0.1:8090/api/v0", "https://notblockfrost.io/api", "https://blockfrost.io.evil.example"]
        {
            assert_eq!(rate(other), None, "{other}");
        }
        assert!(!format!("{:?}", Endpoint::new("http://127.0.0.1", Some("secret"))).contains("secret"));
    }
}
