//! Bare handshakes: what a node's listener of mutual TLS costs without a broker behind it.

use std::path::Path;
use std::sync::Arc;

use stepwire::ca::Authority;
use stepwire::tls::{ClientCertificate, Shown, server_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// Accepts connections until it is killed: a handshake, then one byte that says that it is done.
pub(crate) async fn serve(ca: &str) {
    let authority = Authority::open(Path::new(ca)).unwrap();
    let identity = authority.server(&[], jiff::Timestamp::now()).unwrap();
    let shown = Arc::new(Shown::new(&identity).unwrap());
    let config = server_config(shown, ClientCertificate::Required).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("handshakes tls://{}", listener.local_addr().unwrap());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = socket.set_nodelay(true);
            // a client that goes away ends its task
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            if stream.write_all(b"1").await.is_ok() && stream.flush().await.is_ok() {
                let _ = stream.read(&mut [0; 1]).await;
            }
        });
    }
}
