//! An endpoint that answers from a table, and can be made to say anything.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nunet_ledger::TxId;
use serde_json::{Value as Json, json};

use super::wallet;

/// Answers from a table of (path, status, body), the first that matches; counts requests.
pub struct Server {
    answers: Mutex<Vec<(String, u16, Vec<u8>)>>,
    requests: AtomicUsize,
    /// Of every answer, beside the length.
    pub retry_after: Mutex<Option<u64>>,
    pub headers: Mutex<Vec<Option<String>>>,
    paths: Mutex<Vec<String>>,
}

impl Server {
    /// A server with the answers that connecting needs.
    pub async fn start() -> (Arc<Self>, String) {
        let server = Arc::new(Self {
            answers: Mutex::default(),
            requests: AtomicUsize::new(0),
            retry_after: Mutex::default(),
            headers: Mutex::default(),
            paths: Mutex::default(),
        });
        server.set("/genesis", 200, &genesis());
        server.set("/blocks/latest", 200, &block(5_000));
        server.set("/epochs/latest/parameters", 200, &parameters());
        let router = Router::new().fallback(answer).with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (server, url)
    }

    pub fn set(&self, path: &str, status: u16, body: &Json) {
        self.set_bytes(path, status, body.to_string().into_bytes());
    }

    pub fn set_bytes(&self, path: &str, status: u16, body: Vec<u8>) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, _, _)| known != path);
        answers.push((path.into(), status, body));
    }

    /// Forgets a path: it is 404 from now on.
    pub fn unset(&self, path: &str) {
        self.answers.lock().unwrap().retain(|(known, _, _)| known != path);
    }

    /// Whether a path was asked for.
    pub fn asked(&self, path: &str) -> bool {
        self.paths.lock().unwrap().iter().any(|asked| asked == path)
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    server.requests.fetch_add(1, Ordering::SeqCst);
    let id = request.headers().get("project_id").map(|value| value.to_str().unwrap().to_owned());
    server.headers.lock().unwrap().push(id);
    let full = request.uri().to_string();
    server.paths.lock().unwrap().push(full.clone());
    let answers = server.answers.lock().unwrap();
    let found = answers.iter().find(|(path, _, _)| *path == full || *path == request.uri().path());
    match found {
        Some((_, status, body)) => {
            let mut response = (StatusCode::from_u16(*status).unwrap(), Bytes::from(body.clone())).into_response();
            if let Some(seconds) = *server.retry_after.lock().unwrap() {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        None => {
            let body = json!({"status_code": 404, "error": "Not Found", "message": "not found"});
            (StatusCode::NOT_FOUND, body.to_string()).into_response()
        }
    }
}

pub fn genesis() -> Json {
    json!({"network_magic": 1, "slot_length": 1, "active_slots_coefficient": 1.0, "system_start": 1_654_041_600,
           "epoch_length": 432_000})
}

pub fn block(slot: u64) -> Json {
    json!({"time": 1_700_000_000 + slot, "height": slot / 20, "slot": slot, "epoch": slot / 432_000,
           "hash": format!("{slot:064x}"), "slot_leader": "pool"})
}

pub fn parameters() -> Json {
    json!({
        "epoch": 0, "min_fee_a": 44, "min_fee_b": 155_381, "max_block_size": 90_112, "max_tx_size": 16_384,
        "key_deposit": "2000000", "pool_deposit": "500000000", "protocol_major_ver": 10, "protocol_minor_ver": 0,
        "cost_models_raw": {"PlutusV1": [1, -2], "PlutusV2": [3], "PlutusV3": [4, 5, 6]},
        "price_mem": 0.0577, "price_step": 0.0000721, "max_tx_ex_mem": "14000000", "max_tx_ex_steps": "10000000000",
        "max_block_ex_mem": "62000000", "max_block_ex_steps": "20000000000", "max_val_size": "5000",
        "collateral_percent": 150, "max_collateral_inputs": 3, "coins_per_utxo_size": "4310",
        "min_fee_ref_script_cost_per_byte": 15.0,
    })
}

pub fn output(patch: Json) -> Json {
    let mut output = json!({
        "address": wallet(0).address(), "tx_hash": TxId([7; 32]), "output_index": 0,
        "amount": [{"unit": "lovelace", "quantity": "2000000"}],
        "data_hash": null, "inline_datum": null, "reference_script_hash": null,
    });
    output.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    output
}
