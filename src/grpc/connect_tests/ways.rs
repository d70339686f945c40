//! Which way leads to a server, by its address or its name.

use super::*;

#[tokio::test]
async fn plaintext_leaves_this_machine_only_where_that_is_written_out() {
    let elsewhere: SocketAddr = "192.0.2.1:50051".parse().unwrap();
    let error = to_address(elsewhere, Some("localhost"), &Security::Loopback).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("192.0.2.1:50051 is not on this machine"), "{error}");
    to_address(elsewhere, None, &Security::Plaintext).map(drop).unwrap();

    let server = Server::start(echo).await;
    let mapped = format!("[::ffff:127.0.0.1]:{}", server.address.port()).parse().unwrap();
    for here in [server.address, mapped] {
        let connector = to_address(here, None, &Security::Loopback).unwrap();
        drop(within(connector.connect()).await.unwrap());
    }
}

#[tokio::test]
async fn the_address_is_the_name_where_there_is_no_other() {
    let ca = Authority::new("CA");
    let server = ServerSide::new(ca.server("127.0.0.1")).start().await;
    let client = ClientSide::trusting(&ca);
    let security = Security::Tls(Arc::new(client.config.clone()));
    let connector = to_address(server.address, None, &security).unwrap();
    drop(within(connector.connect()).await.unwrap());
    let named = to_address(server.address, Some("guard.internal"), &security).unwrap();
    assert!(is_refusal(&within(named.connect()).await.err().unwrap()));
}
