//! What a run may spend, and how another thread stops it.

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Fuel for runs: one unit is about one instruction.
///
/// Whoever shares it may stop the run by taking all of it away. The run looks at it every thousand units, machine code every
/// sixteen thousand, so it stops within microseconds; what is left after a run is exact.
///
/// A stop is a flag of its own, so that a run writes what it has left without an exchange, which costs more than a short run:
/// whatever is written meanwhile, there is no fuel until somebody fills it.
#[derive(Debug)]
pub struct Fuel {
    units: AtomicU64,
    is_stopped: AtomicBool,
}

/// How many units go by between two looks at the shared fuel.
const BATCH: u64 = 1024;

impl Fuel {
    /// As much as will never run out.
    pub const UNLIMITED: u64 = u64::MAX;

    /// Makes fuel of so many units.
    #[cfg(not(loom))]
    pub const fn new(units: u64) -> Fuel {
        Fuel { units: AtomicU64::new(units), is_stopped: AtomicBool::new(false) }
    }

    /// Makes fuel of so many units.
    #[cfg(loom)]
    pub fn new(units: u64) -> Fuel {
        Fuel { units: AtomicU64::new(units), is_stopped: AtomicBool::new(false) }
    }

    /// Takes all fuel away, which stops a run that uses it, from any thread.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Sets the units, between runs.
    pub fn fill(&self, units: u64) {
        self.units.store(units, Ordering::Relaxed);
        self.is_stopped.store(false, Ordering::Relaxed);
    }

    /// Gives the units left; during a run, up to a batch too many.
    #[inline]
    pub fn left(&self) -> u64 {
        match self.is_stopped.load(Ordering::Relaxed) {
            true => 0,
            false => self.units.load(Ordering::Relaxed),
        }
    }

    /// Changes the units that a run has seen to those that it leaves, and gives what counts from now on.
    #[inline]
    fn settle(&self, seen: u64, rest: u64) -> u64 {
        // Where somebody else has changed them meanwhile, theirs are what counts.
        if rest != seen && self.units.load(Ordering::Relaxed) == seen {
            self.units.store(rest, Ordering::Relaxed);
        }
        self.left()
    }
}

/// There is no fuel left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// One run's way to the fuel: counts locally, settles in batches.
pub struct Meter<'r> {
    fuel: &'r Fuel,
    /// What the shared fuel was when last settled.
    seen: u64,
    /// Units that may go by before the next look.
    batch: u64,
    /// Units of the batch not yet used.
    left: u64,
    /// Units settled in all.
    settled: u64,
}

impl<'r> Meter<'r> {
    /// Starts counting.
    #[inline]
    pub fn new(fuel: &'r Fuel) -> Meter<'r> {
        Meter { fuel, seen: fuel.left(), batch: 0, left: 0, settled: 0 }
    }

    /// Takes one unit.
    ///
    /// # Errors
    /// [`Spent`] where there is none left.
    #[inline(always)]
    pub fn tick(&mut self) -> Result<(), Spent> {
        if self.left == 0 {
            self.refill()?;
        }
        self.left -= 1;
        Ok(())
    }

    /// Takes `units`.
    ///
    /// # Errors
    /// [`Spent`] where there are fewer; those are taken then.
    #[inline]
    pub fn charge(&mut self, units: u64) -> Result<(), Spent> {
        self.charge_of(BATCH, units)
    }

    #[inline]
    fn charge_of(&mut self, batch: u64, mut units: u64) -> Result<(), Spent> {
        while units > self.left {
            units -= self.left;
            self.left = 0;
            self.refill_with(units.max(batch))?;
        }
        self.left -= units;
        Ok(())
    }

    /// Hands out what is left of a batch of this many units, for code that counts by itself; as taken, until it is given
    /// back.
    #[inline]
    pub fn lend(&mut self, batch: u64) -> u64 {
        if self.batch == 0 {
            self.batch = batch.min(self.seen);
            self.left = self.batch;
        }
        core::mem::take(&mut self.left)
    }

    /// Takes `units`, and hands out what is left then.
    ///
    /// # Errors
    /// [`Spent`] where there are fewer; those are taken then.
    pub fn charge_and_lend(&mut self, batch: u64, units: u64) -> Result<u64, Spent> {
        self.charge_of(batch, units)?;
        Ok(core::mem::take(&mut self.left))
    }

    /// Takes back what of the lent units was not used; more than was lent is not believed.
    #[inline]
    pub fn give_back(&mut self, units: u64) {
        self.left = self.left.saturating_add(units).min(self.batch);
    }

    /// Gives the units taken so far.
    pub fn taken(&self) -> u64 {
        self.settled.saturating_add(self.batch - self.left)
    }

    /// Writes what was taken to the shared fuel.
    #[inline]
    pub fn settle(&mut self) {
        let taken = self.batch - self.left;
        let rest = if self.seen == Fuel::UNLIMITED { self.seen } else { self.seen - taken };
        self.settled = self.settled.saturating_add(taken);
        self.batch = 0;
        self.left = 0;
        self.seen = self.fuel.settle(self.seen, rest);
    }

    #[cold]
    fn refill(&mut self) -> Result<(), Spent> {
        self.refill_with(BATCH)
    }

    fn refill_with(&mut self, wanted: u64) -> Result<(), Spent> {
        self.settle();
        if self.seen == 0 {
            return Err(Spent);
        }
        self.batch = wanted.min(self.seen);
        self.left = self.batch;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_exact() {
        let fuel = Fuel::new(5000);
        let mut meter = Meter::new(&fuel);
        for _ in 0..3000 {
            meter.tick().unwrap();
        }
        meter.charge(1500).unwrap();
        assert_eq!(meter.taken(), 4500);
        meter.settle();
        assert_eq!((fuel.left(), meter.taken()), (500, 4500));
        assert_eq!(meter.charge(501), Err(Spent));
        assert_eq!((fuel.left(), meter.taken()), (0, 5000));
        assert_eq!(meter.tick(), Err(Spent));
    }

    #[test]
    fn lent_units_count_as_taken_until_they_are_given_back() {
        let fuel = Fuel::new(5000);
        let mut meter = Meter::new(&fuel);
        let lent = meter.lend(1024);
        assert_eq!((lent, meter.taken()), (1024, 1024));
        meter.give_back(lent - 24);
        assert_eq!(meter.taken(), 24);
        meter.charge(1500).unwrap();
        let lent = meter.charge_and_lend(2048, 500).unwrap();
        assert_eq!((lent, meter.taken()), (24, 24 + 2000 + lent));
        meter.give_back(lent);
        meter.give_back(1 << 40);
        meter.settle();
        assert!(fuel.left() <= 5000);
        let fuel = Fuel::new(10);
        let mut meter = Meter::new(&fuel);
        assert_eq!(meter.lend(1024), 10);
        assert_eq!(meter.lend(1024), 0);
        assert_eq!(meter.charge_and_lend(1024, 1), Err(Spent));
        meter.batch = 10;
        fuel.fill(10);
        meter.seen = 10;
        meter.give_back(10);
        meter.settle();
        assert_eq!(fuel.left(), 10);
    }

    #[test]
    fn a_stop_holds() {
        let fuel = Fuel::new(1_000_000);
        let mut meter = Meter::new(&fuel);
        meter.tick().unwrap();
        fuel.stop();
        let more = (0..).take_while(|_| meter.tick().is_ok()).count();
        assert!(more < 1024);
        meter.settle();
        assert_eq!(fuel.left(), 0);
        assert_eq!(Meter::new(&fuel).tick(), Err(Spent));
        fuel.fill(1);
        assert_eq!((fuel.left(), Meter::new(&fuel).tick()), (1, Ok(())));
    }

    #[test]
    fn what_others_have_written_meanwhile_is_what_counts() {
        let fuel = Fuel::new(5000);
        let mut outer = Meter::new(&fuel);
        outer.charge(10).unwrap();
        let mut inner = Meter::new(&fuel);
        inner.charge(4000).unwrap();
        inner.settle();
        outer.settle();
        assert_eq!(fuel.left(), 1000);
        assert_eq!(outer.charge(1001), Err(Spent));
    }

    #[test]
    fn unlimited_never_shrinks() {
        let fuel = Fuel::new(Fuel::UNLIMITED);
        let mut meter = Meter::new(&fuel);
        meter.charge(u64::MAX / 2).unwrap();
        meter.settle();
        assert_eq!(fuel.left(), Fuel::UNLIMITED);
    }
}
