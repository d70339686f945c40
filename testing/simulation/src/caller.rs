//! A caller: makes a call, sees it to its end or leaves, and tells the judge.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hookwire::PluginHandle;
use tokio::time::timeout;

use crate::client;
use crate::event::{Call, Event, Kind};
use crate::plan::{Leave, Payload, Plan, Settings};
use crate::world::World;

/// The handles of all plugins, whose end is an event.
pub struct Held {
    pub world: Arc<World>,
    pub settings: Settings,
    handles: Vec<PluginHandle>,
}

impl Held {
    pub fn new(world: &Arc<World>, settings: Settings) -> Arc<Self> {
        world.see(Event::Handle(client::bounds(&settings)));
        let handles = client::handles(world, &settings);
        Arc::new(Self { world: Arc::clone(world), settings, handles })
    }

    pub fn handles(&self) -> &[PluginHandle] {
        &self.handles
    }

    /// The one that makes this call.
    fn of(&self, call: Call) -> &PluginHandle {
        &self.handles[call as usize % self.handles.len()]
    }

    pub fn sample(&self) {
        self.world.see(Event::Sampled(client::sample(&self.world, &self.handles)));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.handles.clear();
        self.world.see(Event::Released);
    }
}

/// Whose call ends without an answer: it left, or something of its own panicked.
struct Unanswered<'a> {
    world: &'a World,
    call: Call,
    answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let call = self.call;
            let panics = std::thread::panicking();
            self.world.see(if panics { Event::Panicked { call } } else { Event::Left { call } });
        }
    }
}

/// Makes one call.
pub async fn call(held: &Held, plan: Plan) {
    let world = &*held.world;
    let call = world.next_call();
    let kind = if plan.payload == Payload::Question { Kind::Question } else { Kind::Hook };
    let deadline = plan.deadline(world.now(), &held.settings);
    let may_rerun = plan.may_rerun(&held.settings);
    world.see(Event::Asked { call, kind, deadline, may_rerun });
    let mut unanswered = Unanswered { world, call, answered: false };
    let answer = client::call(held.of(call), call, &plan);
    let outcome = match plan.leave {
        Leave::Never => Some(answer.await),
        Leave::Polls(polls) => polled(answer, polls).await,
        Leave::After(millis) => timeout(Duration::from_millis(millis), answer).await.ok(),
    };
    if plan.leave != Leave::Never {
        world.count_fault();
    }
    if let Some(outcome) = outcome {
        unanswered.answered = true;
        world.see(Event::Answered { call, outcome });
    }
}

/// Polls a future so often, and drops it if it is not ready by then.
async fn polled<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
