//! Random configurations and requests, each from its number.

use std::path::Path;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::plugin::{NAMES, places};

const MODES: [&str; 6] =
    ["sequential", "transform", "audit", "concurrent", "fire_and_forget", "disabled"];
const HOOKS: [&str; 4] =
    ["tool_pre_invoke", "tool_post_invoke", "resource_pre_fetch", "agent_pre_invoke"];
/// In seconds, of plugins that do not answer; far more than the others need.
const TIMEOUT: f64 = 2.0;
const SUBJECTS: [&str; 2] = ["alpha", "beta"];

/// One case, in JSON, for both sides.
pub(crate) fn case(number: u64, socket: &Path) -> Value {
    let mut rng = Rng::with_seed(number);
    let plugins: Vec<Value> = NAMES
        .iter()
        .take(rng.usize(1..=NAMES.len()))
        .map(|name| entry(&mut rng, name, socket))
        .collect();
    let mut policies = Map::new();
    for hook in HOOKS {
        if rng.u8(..) < 30 {
            let (place, subject) = places(hook);
            let fields: Vec<_> = [place, subject].into_iter().filter(|_| rng.bool()).collect();
            policies.insert(hook.to_owned(), json!(fields));
        }
    }
    let default_policy = if rng.u8(..) < 20 { "deny" } else { "allow" };
    let steps: Vec<Value> = (0..rng.usize(1..=5)).map(|_| step(&mut rng, &plugins)).collect();
    json!({
        "plugins": plugins, "policies": policies, "default_policy": default_policy,
        "timeout": 60, "steps": steps,
    })
}

/// A case with plugins that do not answer in its last step: the reference's client takes the
/// reply to a call that has timed out for that to the plugin's next one.
pub(crate) fn hanging(number: u64, socket: &Path) -> Value {
    let mut case = case(number, socket);
    let mut rng = Rng::with_seed(number);
    case["timeout"] = json!(TIMEOUT);
    let plugins = case["plugins"].as_array().unwrap().clone();
    let step = case["steps"].as_array_mut().unwrap().last_mut().unwrap();
    let (place, _) = places(step["hook"].as_str().unwrap());
    let script = &mut step["payload"][place]["script"];
    let chosen = rng.usize(..plugins.len());
    let mut decisive = false;
    for (index, plugin) in plugins.iter().enumerate() {
        let act = &mut script[plugin["name"].as_str().unwrap()];
        let concurrent = plugin["mode"] == "concurrent";
        let hangs = (index == chosen || rng.u8(..) < 60) && !(concurrent && decisive);
        if hangs {
            *act = json!({"hang": true});
        } else if concurrent {
            // Which of several that end the phase does so is up to chance.
            (act["deny"], act["fail"]) = (json!(false), json!(false));
        }
        decisive |= concurrent && hangs;
    }
    case
}

fn entry(rng: &mut Rng, name: &str, socket: &Path) -> Value {
    // An empty list would be asked of its server.
    let hooks = match subset(rng, &HOOKS, 200) {
        none if none.is_empty() => HOOKS.to_vec(),
        some => some,
    };
    let mut entry = json!({
        "name": name, "kind": "external",
        "mode": rng.choice(MODES), "priority": rng.i32(1..4),
        "on_error": rng.choice(["fail", "ignore", "disable"]),
        "hooks": hooks,
        "unix_socket": {"path": socket, "timeout": 60.0},
    });
    if rng.u8(..) < 70 {
        let conditions: Vec<Value> = (0..rng.usize(1..3)).map(|_| condition(rng)).collect();
        entry["conditions"] = json!(conditions);
    }
    entry
}

fn condition(rng: &mut Rng) -> Value {
    let mut condition = Map::new();
    for key in ["tools", "resources", "agents", "prompts", "server_ids", "tenant_ids"] {
        if rng.u8(..) < 60 {
            condition.insert(key.to_owned(), json!(subset(rng, &SUBJECTS, 140)));
        }
    }
    for (key, values) in [
        ("user_patterns", ["al", "eve"]),
        ("content_types", ["Application/JSON;q=1", "text/plain"]),
    ] {
        if rng.u8(..) < 40 {
            condition.insert(key.to_owned(), json!(subset(rng, &values, 140)));
        }
    }
    Value::Object(condition)
}

/// Each of `items` with a chance of `odds` in 256.
fn subset<'a>(rng: &mut Rng, items: &[&'a str], odds: u8) -> Vec<&'a str> {
    items.iter().filter(|_| rng.u8(..) < odds).copied().collect()
}

fn step(rng: &mut Rng, plugins: &[Value]) -> Value {
    let hook = rng.choice(HOOKS).unwrap();
    let request = rng.usize(0..2);
    // Which of several that would end the concurrent phase does so is up to chance.
    let mut decisive = 0;
    let script: Map<String, Value> = plugins
        .iter()
        .map(|plugin| {
            let concurrent = plugin["mode"] == "concurrent";
            let mut act = act(rng, concurrent);
            if concurrent && (act["deny"] == true || act["fail"] == true) {
                decisive += 1;
                if decisive > 1 {
                    act["deny"] = json!(false);
                    act["fail"] = json!(false);
                }
            }
            let name = plugin["name"].as_str().unwrap();
            act["metadata"] = json!({name: hook});
            (name.to_owned(), act)
        })
        .collect();
    let (place, subject) = places(hook);
    let mut payload = json!({subject: rng.choice(SUBJECTS), place: {"script": script, "path": ""}});
    if hook == "agent_pre_invoke" {
        payload["messages"] = json!([]);
    }
    let content_type = rng.choice([None, Some("application/json; charset=utf-8"), Some("a/b")]);
    let user =
        rng.choice([json!(null), json!("alice"), json!({"eve": 1}), json!("bob"), json!("")]);
    // The first step of a request decides.
    json!({
        "request": request, "hook": hook, "payload": payload,
        "context": {
            "request_id": format!("request-{request}"),
            "server_id": rng.choice([None, Some("alpha"), Some("gamma")]),
            "tenant_id": rng.choice([None, Some("beta"), Some("gamma")]),
            "user": user, "content_type": content_type,
            "state": if rng.bool() { json!({"gateway": {"n": 1}}) } else { json!({}) },
        },
    })
}

fn act(rng: &mut Rng, concurrent: bool) -> Value {
    let mut told = |odds: u8| rng.u8(..) < odds;
    let deny = told(25);
    let mut act = json!({
        "deny": deny, "fail": told(25), "append": told(100), "rename": told(40),
        "keep": told(120), "share": told(80), "last": !concurrent && told(60),
    });
    // The reference forgets it beside a denial.
    if !deny && rng.u8(..) < 50 {
        act["delay"] = json!(rng.u32(1..1000));
    }
    act
}
