//! Plays a history: turns every step into a command that fits the state that it meets.

use crate::dice::Dice;
use crate::history::{Step, Topic};
use crate::live::Broken;
use crate::world::{CARDS, World};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;

/// Plays the steps from an empty world. Returns the world in any case, with the error if something is broken.
pub fn play(seed: u64, steps: &[Step], is_read: bool) -> (World, Result<(), Broken>) {
    let mut world = World::new(is_read);
    let result = all(&mut world, seed, steps);
    (world, result)
}

fn all(world: &mut World, seed: u64, steps: &[Step]) -> Result<(), Broken> {
    let mut dice = Dice::new(seed);
    // A few accounts are opened later or never: then the account rejects commands, and bookings wait.
    if !dice.one_in(40) {
        world.open_account(&mut dice)?;
        world.deposit(&mut dice)?;
    }
    for card in CARDS {
        if !dice.one_in(12) {
            world.issue(card, &mut dice)?;
        }
    }
    for step in steps {
        one(world, *step)?;
    }
    if world.is_open() {
        world.deliver_all(&mut dice)?;
    }
    world.settled()
}

fn one(world: &mut World, step: Step) -> Result<(), Broken> {
    let mut dice = Dice::new(step.dice);
    // Every command takes some time; sometimes the time alone tells two of them apart.
    world.now_ms += dice.below(3) as u64;
    // Occasionally the host's clock is set back for a moment.
    world.behind_ms = if dice.one_in(32) { 1 + dice.below(100_000) as u64 } else { 0 };
    match step.topic {
        Topic::Wait => {
            let most_ms = dice.pick(&[SECOND_MS, 60 * SECOND_MS, DAY_MS, 10 * DAY_MS]);
            world.now_ms += dice.below(usize::try_from(most_ms).unwrap_or(usize::MAX)) as u64;
        }
        Topic::Deliver if world.queue.is_empty() => world.proceed(&mut dice)?,
        Topic::Deliver => world.deliver(&mut dice)?,
        Topic::Begin => world.begin(&mut dice)?,
        Topic::Proceed => world.proceed(&mut dice)?,
        Topic::Account => world.of_account(&mut dice)?,
        Topic::Card => world.of_card(&mut dice)?,
        Topic::Repeat => world.repeat(&mut dice)?,
        Topic::Alter => world.alter(&mut dice)?,
    }
    world.behind_ms = 0;
    if dice.one_in(64) {
        world.folds()?;
    }
    if dice.one_in(64) {
        world.take_snapshots()?;
    }
    Ok(())
}
