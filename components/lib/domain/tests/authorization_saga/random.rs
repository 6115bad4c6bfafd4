//! Random lives at once: commands of the network, the chain and the customer come between the saga's own.

use std::cell::RefCell;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::dice::Dice;
use crate::engine::Outcome;
use crate::history::{Histories, Step, Topic};
use crate::live::Broken;
use crate::world::{CARDS, World};

const HISTORIES: u64 = 400;
const STEPS: usize = 150;
const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;

#[test]
fn whatever_comes_in_between_the_invariants_hold_and_nothing_is_left() {
    let ended = RefCell::new(Vec::new());
    for seed in 1..=HISTORIES {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let tree = Histories(STEPS).new_tree(&mut runner).expect("a history");
        let played = runner.run_one(tree, |steps| {
            let world = play(seed, &steps).map_err(TestCaseError::fail)?;
            let flows = world.instances.values().flat_map(|instance| &instance.ended).copied();
            ended.borrow_mut().extend(flows);
            Ok(())
        });
        if let Err(TestError::Fail(broken, steps)) = played {
            panic!("seed {seed}, as short as it fails: {steps:?}\nbroken: {broken}");
        }
    }
    for reached in [
        ("authorize", Outcome::Done),
        ("authorize", Outcome::Compensated),
        ("increment", Outcome::Done),
        ("increment", Outcome::Compensated),
        ("book", Outcome::Done),
        ("expire", Outcome::Done),
        ("expire", Outcome::Cancelled),
        ("fund", Outcome::Done),
        ("withdraw", Outcome::Done),
        ("recover", Outcome::Done),
        ("finalize", Outcome::Done),
        ("match-clearing", Outcome::Compensated),
        ("take-clearing", Outcome::Done),
    ] {
        assert!(ended.borrow().contains(&reached), "no history reached {reached:?}");
    }
}

fn play(seed: u64, steps: &[Step]) -> Result<World, Broken> {
    let mut world = World::new();
    let mut dice = Dice::new(seed);
    world.fails_one_in = 30;
    world.offers_pulls = dice.one_in(2);
    // Some accounts are opened later, by the first fact that must post, or never.
    if !dice.one_in(6) {
        world.open_account(&mut dice)?;
        world.deposit(&mut dice)?;
    }
    for card in CARDS {
        if !dice.one_in(8) {
            world.issue(card, &mut dice)?;
        }
    }
    for step in steps {
        one(&mut world, *step)?;
    }
    world.deliver_all(&mut dice)?;
    world.settled()?;
    // Twice, because the next leg can be dead as well.
    for retries in [true, false] {
        world.order(retries);
        world.deliver_all(&mut dice)?;
        world.settled()?;
    }
    world.expire_all(&mut dice)?;
    world.settled()?;
    Ok(world)
}

fn one(world: &mut World, step: Step) -> Result<(), Broken> {
    let mut dice = Dice::new(step.dice);
    world.now_ms += dice.below(3) as u64;
    match step.topic {
        Topic::Wait => {
            let most_ms = dice.pick(&[SECOND_MS, 60 * SECOND_MS, DAY_MS, 10 * DAY_MS]);
            world.now_ms += dice.below(usize::try_from(most_ms).unwrap_or(usize::MAX)) as u64;
            Ok(())
        }
        Topic::Deliver if world.offers_pulls && dice.one_in(12) => {
            world.order(true);
            Ok(())
        }
        Topic::Deliver if world.offers_pulls && dice.one_in(2) => world.chain_goes_on(&mut dice).map(drop),
        Topic::Deliver => (0..=dice.below(4)).try_for_each(|_| world.deliver(&mut dice)),
        Topic::Begin => world.begin(&mut dice),
        Topic::Proceed => world.proceed(&mut dice),
        Topic::Account => world.of_account(&mut dice),
        Topic::Card => world.of_card(&mut dice),
        Topic::Repeat => world.repeat(&mut dice),
        Topic::Alter => world.alter(&mut dice),
    }
}
