//! Which servers are spoken to.

use super::*;

#[tokio::test]
async fn bytes_go_both_ways_over_tcp_at_once() {
    let server = Server::start(echo).await;
    ask(&TcpConnector::new(server.address)).await.unwrap();
}

#[tokio::test]
async fn a_port_without_a_server_is_told_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(&TcpConnector::new(address)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("nobody listens there"), "{error}");
}

#[test]
fn a_system_that_forbids_to_connect_is_no_server_that_is_not_trusted() {
    let error = explained(io::ErrorKind::PermissionDenied.into());
    assert_ne!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_server_with_a_certificate_for_its_name_is_spoken_to_in_tls() {
    let ca = Authority::new("CA");
    for tls_1_2 in [false, true] {
        let side = ServerSide { tls_1_2, ..ServerSide::new(ca.server("guard.internal")) };
        let server = side.start().await;
        let client = ClientSide::trusting(&ca).expecting("guard.internal");
        ask(&client.connector(&server, "127.0.0.1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("127.0.0.1")).start().await;
    ask(&ClientSide::trusting(&ca).connector(&server, "127.0.0.1")).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_can_carry_tls_too() {
    let ca = Authority::new("CA");
    let files = Files::new();
    let path = files.path("plugins.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let acceptor = ServerSide::new(ca.server("guard.internal")).acceptor();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        echo(acceptor.accept(stream).await?).await
    });
    let trust = Trust::from(&UnixSocketConfig::builder(&path).build().unwrap());
    let unix: Arc<dyn Connect> = Arc::new(UnixConnector::new(Arc::from(path), trust));
    let client = ClientSide::trusting(&ca).expecting("guard.internal");
    let config = Arc::new(client.config.clone());
    ask(&TlsConnector::new(unix, config, None).unwrap()).await.unwrap();
    // Its end is no orderly one: the client is dropped.
    within(server).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused() {
    let server = ServerSide::new(Authority::new("Other").server("localhost")).start().await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let told = refusal(&client.connector(&server, "localhost")).await;
    assert!(told.contains("not signed by a trusted authority (`ca_bundle`)"), "{told}");
}

#[tokio::test]
async fn a_private_authority_is_not_among_those_of_the_system() {
    let server = ServerSide::new(Authority::new("Other").server("localhost")).start().await;
    let client = ClientSide { files: Files::new(), config: TlsConfig::default() };
    let error = within(client.connector(&server, "localhost").connect()).await.err().unwrap();
    // A system may have none at all.
    let expected = [io::ErrorKind::PermissionDenied, io::ErrorKind::InvalidInput];
    assert!(expected.contains(&error.kind()), "{error:?}");
    assert!(error.to_string().contains("(`ca_bundle`)"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("guard.internal")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("guard.internal") && told.contains("expected `localhost`"), "{told}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.expired_server("localhost")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.starts_with("the server's certificate has expired: "), "{told}");
    assert!(told.contains("until Tue, 01 Jan 2002 00:00:00 GMT"), "{told}");
}

#[tokio::test]
async fn a_clients_certificate_is_no_servers() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.client("localhost")).start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("not meant for servers"), "{told}");
}

#[tokio::test]
async fn a_server_that_does_not_choose_http_2_is_refused() {
    let ca = Authority::new("CA");
    for alpn in [vec![], vec![b"http/1.1".to_vec()]] {
        let side = ServerSide { alpn, ..ServerSide::new(ca.server("localhost")) };
        let server = side.start().await;
        let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
        assert!(told.contains("did not choose HTTP/2"), "{told}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_and_never_spoken_to_in_plaintext() {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            let mut bytes = Vec::new();
            // Its end may be a reset, as we do not read what it says.
            let _ = stream.read_to_end(&mut bytes).await;
            let _ = sender.send(bytes);
            Ok(())
        }
    })
    .await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let told = refusal(&client.connector(&server, "localhost")).await;
    assert!(told.contains("does not speak TLS"), "{told}");
    let heard = within(heard.recv()).await.unwrap();
    // A handshake's record, then perhaps an alert's.
    assert_eq!(heard.first(), Some(&0x16));
}

#[tokio::test]
async fn a_server_that_leaves_in_the_handshake_is_gone_and_not_refused() {
    let server = Server::start(|mut stream| async move {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await?;
        // Its end, in good order.
        stream.shutdown().await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    })
    .await;
    let client = ClientSide::trusting(&Authority::new("CA"));
    let error = ask(&client.connector(&server, "localhost")).await.unwrap_err();
    assert!(!is_refusal(&error), "{error:?}");
    assert!(error.to_string().contains("during the TLS handshake"), "{error}");
}
