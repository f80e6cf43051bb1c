//! The same HTTP server and store as the node's, without an engine.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use stepwire_store::embedded::Embedded;
use stepwire_store::{Batch, Fence, Store};
use tokio::sync::{mpsc, oneshot};

type Record = (Vec<u8>, oneshot::Sender<()>);

/// Serves until it is killed.
pub(crate) async fn serve(folder: &str) {
    let store = Embedded::open(folder.as_ref()).unwrap();
    let (records, queue) = mpsc::channel::<Record>(4096);
    std::thread::spawn(move || commit(&store, queue));
    let app = Router::new().route("/", post(take)).with_state(Arc::new(records));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("floor http://{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

async fn take(State(records): State<Arc<mpsc::Sender<Record>>>, body: Bytes) -> String {
    let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(request["input"].is_string());
    let mut record = body.to_vec();
    record.resize(1_500, 7);
    let (done, durable) = oneshot::channel();
    records.send((record, done)).await.unwrap();
    durable.await.unwrap();
    serde_json::json!({"executionArn": "x", "startDate": 1.5}).to_string()
}

fn commit(store: &dyn Store, mut queue: mpsc::Receiver<Record>) {
    let mut number = 0_u64;
    let mut records = Vec::new();
    while queue.blocking_recv_many(&mut records, 1024) > 0 {
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        for (record, done) in records.drain(..) {
            number += 1;
            entries.push((number.to_be_bytes().to_vec(), Some(record)));
            waiting.push(done);
        }
        store.commit(Batch { entries }, Fence(0)).unwrap();
        for done in waiting {
            // a client that has gone away does not want its answer
            let _ = done.send(());
        }
    }
}
