//! A collector of OpenTelemetry's protocol: spans come to it over HTTP, as to a real one.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::common::log::another_listens;

const LIMIT: Duration = Duration::from_secs(20);

/// A span as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: v1::span::SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first one of its trace.
    pub(crate) parent: String,
    pub(crate) tracestate: String,
    pub(crate) is_error: bool,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

pub(crate) struct Collector {
    provider: SdkTracerProvider,
    spans: Arc<Mutex<Vec<Span>>>,
    _listening: DefaultGuard,
}

impl Collector {
    /// What this thread traces at `info` and above comes in while it lives.
    pub(crate) fn start() -> Self {
        another_listens();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let into = Arc::clone(&spans);
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Before the answer: who has it looks at the spans.
                into.lock().unwrap().extend(read(&body(&stream).unwrap()));
                answer(&stream).unwrap();
            }
        });
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(address))
            .with_endpoint(format!("http://{address}/v1/traces"))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(LIMIT)
            .build()
            .unwrap();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
        let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "gateway");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_filter(LevelFilter::INFO);
        let _listening = set_default(tracing_subscriber::registry().with(layer));
        Self { provider, spans, _listening }
    }

    /// All spans that have ended.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.provider.force_flush().unwrap();
        self.spans.lock().unwrap().clone()
    }

    /// The one span of this name.
    pub(crate) fn span(&self, name: &str) -> Span {
        let spans = self.spans();
        let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
        let [span] = found[..] else { panic!("{} of {name}: {spans:#?}", found.len()) };
        span.clone()
    }
}

fn read(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(span).collect()
}

fn span(span: v1::Span) -> Span {
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    Span {
        kind: span.kind(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        tracestate: span.trace_state,
        is_error: span.status.is_some_and(|status| status.code() == v1::status::StatusCode::Error),
        begin: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: span
            .attributes
            .into_iter()
            .map(|one| (one.key, text(one.value.and_then(|value| value.value))))
            .collect(),
    }
}

/// Reads one request: its body.
fn body(stream: &TcpStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    assert!(line.starts_with("POST /v1/traces "), "{line}");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head.as_bytes())
}

/// The exporter's way to the collector. It runs on the exporter's own thread, so it may block.
#[derive(Debug)]
struct Client(SocketAddr);

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let (head, body) = request.into_parts();
        write!(stream, "{} {} HTTP/1.1\r\nhost: {}\r\n", head.method, head.uri.path(), self.0)?;
        write!(stream, "content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
        stream.write_all(&body)?;
        let mut status = String::new();
        BufReader::new(&stream).read_line(&mut status)?;
        let code: u16 = status.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok(Response::builder().status(code).body(Bytes::new())?)
    }
}
