//! What a client shows of itself, and files that are replaced.

use std::path::PathBuf;

use super::*;

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_has_one() {
    let ca = Authority::new("CA");
    let clients = Authority::new("Clients");
    for tls_1_2 in [false, true] {
        let side = ServerSide::new(ca.server("localhost"));
        let server = ServerSide { clients: Some(clients.pem()), tls_1_2, ..side }.start().await;
        let client = ClientSide::trusting(&ca).with_identity(&clients.client("gateway"));
        ask(&client.connector(&server, "localhost")).await.unwrap();
    }
}

/// With TLS 1.3 the handshake is over for the client before the server has looked.
#[tokio::test]
async fn a_client_certificate_that_is_missing_or_not_trusted_is_told_by_the_first_read() {
    let (ca, clients) = (Authority::new("CA"), Authority::new("Clients"));
    let server =
        ServerSide { clients: Some(clients.pem()), ..ServerSide::new(ca.server("localhost")) }
            .start()
            .await;
    let stranger = Authority::new("Other").client("gateway");
    for (client, expected) in [
        (ClientSide::trusting(&ca), "demands a client certificate"),
        (ClientSide::trusting(&ca).with_identity(&stranger), "does not trust the authority"),
    ] {
        let connector = client.connector(&server, "localhost");
        let mut stream = within(connector.connect()).await.unwrap();
        let error = within(stream.read_u8()).await.unwrap_err();
        assert!(is_refusal(&error), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// With TLS 1.2 the server looks before the handshake is over.
#[tokio::test]
async fn a_client_certificate_that_is_missing_fails_the_handshake_of_tls_1_2() {
    let ca = Authority::new("CA");
    let side = ServerSide::new(ca.server("localhost"));
    let side = ServerSide { clients: Some(ca.pem()), tls_1_2: true, ..side };
    let server = side.start().await;
    let told = refusal(&ClientSide::trusting(&ca).connector(&server, "localhost")).await;
    assert!(told.contains("client certificate"), "{told}");
}

#[tokio::test]
async fn certificates_that_are_replaced_on_disk_are_those_of_the_next_connection() {
    let (ca, old, new) = (Authority::new("CA"), Authority::new("Old"), Authority::new("New"));
    let for_new_clients = ServerSide::new(ca.server("localhost"));
    let server = ServerSide { clients: Some(new.pem()), ..for_new_clients }.start().await;
    let client = ClientSide::trusting(&ca).with_identity(&old.client("gateway"));
    let connector = client.connector(&server, "localhost");
    assert!(is_refusal(&ask(&connector).await.unwrap_err()));

    client.files.identity("client", &new.client("gateway"));
    ask(&connector).await.unwrap();

    // And the authorities that are trusted.
    client.files.write("ca", &old.pem());
    let told = refusal(&connector).await;
    assert!(told.contains("not signed by a trusted authority"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_half_replaced_is_told_before_anything_is_sent() {
    let ca = Authority::new("CA");
    let server = Server::start(|_| async { panic!("nobody connects") }).await;
    let client = ClientSide::trusting(&ca).with_identity(&ca.client("gateway"));
    let keyfile: PathBuf = client.files.write("client.key", &ca.client("gateway").key);
    let error = within(client.connector(&server, "localhost").connect()).await.err().unwrap();
    assert!(!is_refusal(&error), "{error:?}");
    assert!(error.to_string().contains(&*keyfile.to_string_lossy()), "{error}");
    assert!(error.to_string().contains("does not belong to the certificate"), "{error}");
}
