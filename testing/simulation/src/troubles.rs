//! What befalls the plugin's servers as a whole: they die, stop, or are away, and come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::dice::chance;
use crate::event::Over;
use crate::mood::{Fault, Mood};
use crate::world::World;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// For ever, as the mood has it.
pub async fn troubles(world: Arc<World>, mut rng: fastrand::Rng) {
    loop {
        sleep(millis(rng.u64(10..8_000))).await;
        let faults = world.mood().faults;
        if faults.has(Fault::Restart) {
            world.count_fault();
            world.kill(world.some_servers(&mut rng));
        }
        if faults.has(Fault::TakenOver) {
            world.count_fault();
            world.take_over();
        }
        if faults.has(Fault::Down) {
            world.count_fault();
            let away = world.some_servers(&mut rng);
            world.set_mood(Mood { absent: world.mood().absent.and(away), ..world.mood() });
            sleep(millis(rng.u64(1..6_000))).await;
            world.set_mood(Mood { absent: world.mood().absent.without(away), ..world.mood() });
        }
        if faults.has(Fault::Hang) && chance(&mut rng, 30) {
            world.release();
        }
        if world.over == Over::Grpc {
            stops(&world, &mut rng).await;
        }
    }
}

/// Servers that stop in good order, or say that they are not serving.
async fn stops(world: &World, rng: &mut fastrand::Rng) {
    let faults = world.mood().faults;
    if faults.has(Fault::GoAway) {
        world.count_fault();
        let stopping = world.some_servers(rng);
        world.stop(stopping);
        if chance(rng, 50) {
            // Until the next one is there.
            world.set_mood(Mood { absent: world.mood().absent.and(stopping), ..world.mood() });
            sleep(millis(rng.u64(1..6_000))).await;
            world.set_mood(Mood { absent: world.mood().absent.without(stopping), ..world.mood() });
        }
    }
    if faults.has(Fault::NotServing) {
        world.count_fault();
        let resting = world.some_servers(rng);
        world.set_mood(Mood { resting: world.mood().resting.and(resting), ..world.mood() });
        sleep(millis(rng.u64(1..6_000))).await;
        world.set_mood(Mood { resting: world.mood().resting.without(resting), ..world.mood() });
    }
}
