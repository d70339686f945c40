//! The servers of an entry that is reached over gRPC, each looked at by itself: a call goes to
//! any of them, and what one of them lacks shows on some calls only.
//!
//! `place` finds them, `handshake` looks how they begin TLS, `certificate` reads what they show,
//! and `judge` tells what it means. `trouble` is why one of them cannot be used.

mod certificate;
mod handshake;
mod judge;
mod place;
mod trouble;

use std::time::{Duration, SystemTime};

use hookwire::config::{GrpcBuilder, PluginConfigBuilder, TlsConfig};
use hookwire::{ConfigError, GrpcConfig, PluginConfig};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Answer, ask};
use super::finding::{Finding, Level};
use super::path;
use certificate::Certificate;
use handshake::Seen;
use place::Place;
use trouble::{Others, Trouble};

/// What names the socket of a server that speaks gRPC.
const UDS: &str = "grpc.uds";

/// What was found of one server.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(super) server: String,
    pub(super) state: Level,
    /// In words; `None` where nothing could be connected to.
    pub(super) seen: Option<String>,
    certificate: Option<Certificate>,
}

/// What was found of all.
#[derive(Default)]
pub(super) struct Found {
    pub(super) servers: Vec<Server>,
    /// Of those that have answered.
    pub(super) answers: Vec<Answer>,
    pub(super) owner: Option<path::Owner>,
    pub(super) findings: Vec<Finding>,
}

/// One server, before it is known how the others are.
struct Look {
    name: String,
    seen: Option<(String, Seen)>,
    answer: Option<Answer>,
    /// Without an answer there is this, or a finding.
    trouble: Option<Trouble>,
    /// It was asked by the address that a name has led to, for there are others.
    by_address: bool,
    owner: Option<path::Owner>,
    findings: Vec<Finding>,
}

impl Look {
    fn at(name: String) -> Self {
        let (findings, owner) = (Vec::new(), None);
        Self { name, seen: None, answer: None, trouble: None, by_address: false, owner, findings }
    }
}

/// Looks at all servers at once, since one that hangs takes its whole time. `judge` is what an
/// answer means.
pub(super) async fn look(
    config: &PluginConfig,
    grpc: &GrpcConfig,
    guards: bool,
    limit: Duration,
    judge: impl Fn(&Answer) -> Vec<Finding>,
) -> Found {
    let connect_limit = limit.min(grpc.connect_timeout());
    let (places, unknown) = place::find(grpc.targets(), connect_limit).await;
    let alone = places.len() == 1 && unknown.is_empty();
    let mut looks = JoinSet::new();
    for (at, place) in places.into_iter().enumerate() {
        let asked = if alone { Ok(config.clone()) } else { only(config, grpc, &place) };
        let by_address = !alone && matches!(place, Place::Address { host: Some(_), .. });
        let grpc = grpc.clone();
        looks.spawn(
            async move { (at, look_at(place, grpc, asked, by_address, guards, limit).await) },
        );
    }
    let mut looks = looks.join_all().await;
    looks.sort_by_key(|(at, _)| *at);
    let looks = looks.into_iter().map(|(_, look)| look);
    let unknown = unknown
        .into_iter()
        .map(|(name, trouble)| Look { trouble: Some(trouble), ..Look::at(name) });
    let looks: Vec<_> = looks.chain(unknown).collect();

    let mut found = Found::default();
    let mut others = match looks.iter().any(|look| look.answer.is_some()) {
        true => Others::Answer,
        false => Others::None,
    };
    if matches!(others, Others::None) && looks.iter().any(|look| look.by_address) {
        // As the gateway does.
        let answer = ask(config.clone(), limit).await;
        if answer.error.is_none() {
            others = Others::AnswerByName;
            found.findings = judge(&answer);
            found.answers.push(answer);
        }
    }
    let mut each = Vec::new();
    for look in looks {
        let mut findings = look.findings;
        let others = match others {
            Others::AnswerByName if !look.by_address => Others::Answer,
            others => others,
        };
        findings.extend(look.trouble.map(|trouble| trouble.finding(others, guards)));
        findings.extend(look.answer.iter().flat_map(&judge));
        let state = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        let (seen, shown) = look.seen.unzip();
        let certificate = shown.and_then(|seen| seen.certificate);
        each.extend(findings.into_iter().map(|finding| (look.name.clone(), finding)));
        found.servers.push(Server { server: look.name, state, seen, certificate });
        found.answers.extend(look.answer);
        found.owner = found.owner.or(look.owner);
    }
    found.findings.extend(together(each, found.servers.len()));
    if let Some(path) = grpc.tls().and_then(TlsConfig::certfile) {
        let what = format!("the client certificate {}", path.display());
        let own = Certificate::of_file(path);
        found.findings.extend(own.and_then(|own| judge::expiry(&what, &own, SystemTime::now())));
    }
    found
}

/// The entry with this server alone, so that its answer is known from those of the others.
fn only(
    config: &PluginConfig,
    grpc: &GrpcConfig,
    place: &Place,
) -> Result<PluginConfig, ConfigError> {
    let builder = GrpcBuilder::from(grpc.clone());
    let builder = match place {
        Place::Socket(path) => builder.uds(path),
        Place::Address { address, host } => {
            let builder = builder.target(address.to_string());
            match (grpc.tls(), host) {
                (Some(tls), Some(host)) if tls.server_name().is_none() => {
                    builder.tls(tls.clone().with_server_name(host))
                }
                _ => builder,
            }
        }
    };
    PluginConfigBuilder::from(config.clone()).grpc(builder).build()
}

async fn look_at(
    place: Place,
    grpc: GrpcConfig,
    asked: Result<PluginConfig, ConfigError>,
    by_address: bool,
    guards: bool,
    limit: Duration,
) -> Look {
    let mut look = Look::at(place.to_string());
    let mut seen = Seen::default();
    match &place {
        Place::Socket(path) => {
            let there = path::look(path, UDS, guards, grpc.trust_path());
            (look.owner, look.findings) = (there.owner, there.findings);
            if !there.is_socket {
                return look;
            }
        }
        Place::Address { .. } => match connect(&place, &grpc, limit).await {
            Err(trouble) => {
                look.trouble = Some(trouble);
                return look;
            }
            Ok(stream) if grpc.tls().is_some() => {
                seen = handshake::look(stream, &expected_name(&place, &grpc), limit).await;
            }
            Ok(_) => {}
        },
    }
    let answer = match asked {
        Ok(asked) => ask(asked, limit).await,
        Err(error) => {
            look.trouble = Some(Trouble::address(&error));
            return look;
        }
    };
    look.by_address = by_address;
    let now = SystemTime::now();
    if let Some(error) = &answer.error {
        // Who expects plaintext may have met TLS.
        if grpc.tls().is_none()
            && let Ok(stream) = connect(&place, &grpc, limit).await
        {
            seen = handshake::look(stream, &expected_name(&place, &grpc), limit).await;
        }
        match &place {
            Place::Address { .. } if judge::is_mute(error, by_address) => {
                look.trouble = Some(judge::no_answer(error, &grpc, &seen, now));
            }
            _ => look.findings.push(super::judge::no_answer(error, UDS, guards)),
        }
    }
    look.findings.extend(judge::noted(&place, &grpc, &seen, now));
    look.seen = Some((judge::told(&grpc, &seen, answer.error.is_none(), now), seen));
    look.answer = Some(answer).filter(|answer| answer.error.is_none());
    look
}

async fn connect(place: &Place, grpc: &GrpcConfig, limit: Duration) -> Result<TcpStream, Trouble> {
    let Place::Address { address, .. } = place else {
        return Err(Trouble::connect(None, limit));
    };
    let limit = limit.min(grpc.connect_timeout());
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Trouble::connect(Some(&error), limit)),
        Err(_) => Err(Trouble::connect(None, limit)),
    }
}

/// What the server's certificate must be for.
fn expected_name(place: &Place, grpc: &GrpcConfig) -> String {
    let configured = grpc.tls().and_then(TlsConfig::server_name);
    match (configured, place) {
        (Some(name), _) => name.to_owned(),
        (None, Place::Address { host: Some(host), .. }) => host.trim_end_matches('.').to_owned(),
        (None, Place::Address { address, host: None }) => address.ip().to_string(),
        (None, Place::Socket(_)) => String::new(),
    }
}

/// What is the same of several servers is told once, and each finding names its servers.
fn together(each: Vec<(String, Finding)>, all: usize) -> Vec<Finding> {
    let mut groups: Vec<(Vec<String>, Finding)> = Vec::new();
    for (server, finding) in each {
        match groups.iter_mut().find(|(_, known)| *known == finding) {
            Some((servers, _)) => servers.push(server),
            None => groups.push((vec![server], finding)),
        }
    }
    let named = groups.into_iter().map(|(servers, mut finding)| {
        if all > 1 {
            let names = match servers.len() == all {
                true => format!("all {all} servers"),
                false => servers.join(", "),
            };
            finding.message = format!("{names}: {}", finding.message);
        }
        finding
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was a server without a word about it, and so a guard in order.
    #[tokio::test]
    async fn a_server_that_cannot_be_asked_by_the_address_of_its_name_is_in_trouble() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // What some write beside names that shall lead nowhere.
        let address = ([0, 0, 0, 0], listener.local_addr().unwrap().port()).into();
        let place = Place::Address { address, host: Some("guard.internal".to_owned()) };
        let grpc = GrpcConfig::builder().target("guard.internal:1").plaintext(true);
        let grpc = grpc.build().unwrap();
        let config = PluginConfig::builder("Guard").grpc(grpc.clone()).build().unwrap();
        let asked = only(&config, &grpc, &place);
        let look = look_at(place, grpc, asked, true, true, Duration::from_secs(5)).await;
        let finding = look.trouble.unwrap().finding(Others::None, true);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.contains("is an address to listen at"), "{}", finding.message);
    }
}
