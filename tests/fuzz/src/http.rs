//! Requests of strangers to the devnet's API.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use nunet_devnet::{Devnet, DevnetConfig, Funding, devnet_genesis, ntx_asset};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace};
use serde_json::Value as Json;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// The largest answer: a page of a hundred transactions with everything in it is far smaller.
const MAX_ANSWER: usize = 16 * 1_024 * 1_024;

/// A devnet in this process, with the runtime that it lives in.
struct World {
    runtime: Runtime,
    router: Router,
    devnet: Devnet,
}

static WORLD: LazyLock<World> = LazyLock::new(|| match world() {
    Ok(world) => world,
    Err(error) => panic!("the devnet does not start: {error}"),
});

fn world() -> Result<World, Box<dyn std::error::Error>> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let owner = |byte| Address::new(0, Credential::Key(KeyHash([byte; 28])), Some(Credential::Key(KeyHash([9; 28]))));
    let funding = |byte| Funding { address: owner(byte), lovelace: Lovelace(1_000_000_000), ntx: 1_000_000 };
    let genesis = devnet_genesis(&ntx_asset(KeyHash([7; 28])), &[funding(1), funding(2)])?;
    let config = DevnetConfig { genesis, ..DevnetConfig::default() };
    let devnet = runtime.block_on(Devnet::start(config))?;
    let router = devnet.router();
    Ok(World { runtime, router, devnet })
}

/// Transactions and addresses that the devnet knows, for seeds.
pub(crate) fn known() -> (Vec<String>, Vec<String>) {
    let unspent = WORLD.devnet.snapshot();
    let ids = unspent.iter().map(|(outpoint, _)| outpoint.tx.to_string()).collect();
    (ids, unspent.iter().map(|(_, output)| output.address.to_string()).collect())
}

/// Sends bytes as a request: a line with method and path, a line with the content type, and the body.
///
/// Panics when the answer is not one that the API promises: a server error, a refusal without Blockfrost's body, an
/// answer that is no JSON though it says so, or none at all.
pub fn request(bytes: &[u8]) {
    let Some(request) = read(bytes) else { return };
    let described = format!("{} {}", request.method(), request.uri());
    let world = &*WORLD;
    world.runtime.block_on(async {
        let answer = tokio::time::timeout(Duration::from_secs(10), world.router.clone().oneshot(request)).await;
        match answer {
            Ok(Ok(response)) => check(&described, response).await,
            Ok(Err(never)) => match never {},
            Err(_) => panic!("{described} was not answered within ten seconds"),
        }
    });
}

fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (line, media_type, body) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (method, path) = (Method::from_bytes(line.get(..space)?).ok()?, line.get(space + 1..)?);
    // Moving the clock is the owner's business, and would end the devnet's time before long.
    if path.windows(8).any(|part| part == b"/devnet/") {
        return None;
    }
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, media_type);
    request.body(Body::from(body.to_vec())).ok()
}

async fn check(request: &str, response: Response) {
    let status = response.status();
    assert!(
        !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE,
        "{request} was answered with {status}"
    );
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    let body = match to_bytes(response.into_body(), MAX_ANSWER).await {
        Ok(body) => body,
        Err(error) => panic!("{request} was answered with a broken body: {error}"),
    };
    let json = serde_json::from_slice::<Json>(&body);
    if is_json && request.split(' ').next() != Some("HEAD") {
        assert!(json.is_ok(), "{request} was answered with what is no JSON: {body:?}");
    }
    if status.is_client_error() && !body.is_empty() {
        let json = json.unwrap_or_default();
        assert_eq!(json["status_code"], status.as_u16(), "{request}: {json}");
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{request}: {json}");
    }
}
