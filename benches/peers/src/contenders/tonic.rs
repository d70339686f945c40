//! tonic over a Unix socket: gRPC with the protocol's own messages.
//!
//! Request and reply are the generated messages, ready made and taken as they
//! come. What a gateway pays to turn its types into a `Struct` and back is left
//! out, in tonic's favour.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use prost::Message as _;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::common::sample;
use crate::load::Call;

pub mod proto {
    #![allow(clippy::all, clippy::pedantic)]
    tonic::include_proto!("cpex");
}

use proto::plugin_service_client::PluginServiceClient;
use proto::plugin_service_server::{PluginService, PluginServiceServer};

struct Null {
    reply: proto::InvokeHookResponse,
}

#[tonic::async_trait]
impl PluginService for Null {
    async fn get_plugin_config(
        &self,
        _: Request<proto::GetPluginConfigRequest>,
    ) -> Result<Response<proto::GetPluginConfigResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_plugin_configs(
        &self,
        _: Request<proto::GetPluginConfigsRequest>,
    ) -> Result<Response<proto::GetPluginConfigsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn invoke_hook(
        &self,
        _: Request<proto::InvokeHookRequest>,
    ) -> Result<Response<proto::InvokeHookResponse>, Status> {
        Ok(Response::new(self.reply.clone()))
    }
}

/// Starts the server on a thread of its own.
pub fn serve(path: PathBuf) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let frame = sample::reply_frame(&sample::payload());
            let reply = proto::InvokeHookResponse::decode(&frame[4..]).expect("the sample");
            let listener = UnixListener::bind(path).expect("a socket can be bound");
            ready.send(()).expect("somebody waits");
            let service = PluginServiceServer::new(Null { reply });
            let incoming = UnixListenerStream::new(listener);
            let server = Server::builder().add_service(service).serve_with_incoming(incoming);
            server.await.expect("the server runs");
        });
    });
    is_ready.recv().expect("the server starts");
}

#[derive(Clone)]
pub struct Tonic {
    client: PluginServiceClient<Channel>,
    request: proto::InvokeHookRequest,
}

impl Tonic {
    pub async fn connect(path: &Path) -> Self {
        let endpoint = Endpoint::try_from(format!("unix:{}", path.display())).expect("an address");
        let channel = endpoint.connect().await.expect("the server listens");
        let frame = sample::request_frame(&sample::payload());
        let request = proto::InvokeHookRequest::decode(&frame[4..]).expect("the sample");
        Self { client: PluginServiceClient::new(channel), request }
    }
}

impl Call for Tonic {
    async fn call(&mut self) {
        let reply = self.client.invoke_hook(self.request.clone()).await;
        black_box(reply.expect("the server answers").into_inner());
    }
}
