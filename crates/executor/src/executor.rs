//! The executor: where a task is queued, who is woken for it, and the loop of a vCPU.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;

use platform::shared::Shared;

use crate::counters::{Counters, Tally};
use crate::idle::Idler;
use crate::machine::Machine;
use crate::queue::RunQueue;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, barrier};
use crate::task::{Runnable, Task};
use crate::tick::Tick;
use crate::timer::{NEVER, Shard};

/// The most vCPUs that an executor can have: they are bits of a word.
pub const MAX_VCPUS: usize = 64;

/// So many turns of a loop pass between two looks at how evenly the tasks are spread.
const TURNS_PER_BALANCE: u32 = 64;

/// Reading the clock costs as much as a yield, so of yielding tasks in a row every fourth pays for it;
/// a task that computes meets a tick, after which the clock is read at once.
const YIELDS_PER_CLOCK: u32 = 4;

/// Runs tasks on vCPUs.
pub struct Executor {
    pub(crate) machine: &'static dyn Machine,
    pub(crate) vcpus: Box<[Vcpu]>,
    /// The vCPUs that sleep, or are about to and will look at their queues once more.
    pub(crate) asleep: AtomicU64,
    /// The vCPUs whose loop runs.
    pub(crate) active: AtomicU64,
    pub(crate) tick: Tick,
    /// Held while the machine is told of an instant, so that the earliest one stays.
    setting_alarm: Mutex<()>,
    stopping: AtomicBool,
    /// Where a task goes that is spawned from outside the vCPUs.
    next_home: AtomicUsize,
    /// The longest time that a vCPU without work spins, in nanoseconds.
    pub(crate) spin_limit: u64,
}

/// What all may see of one vCPU. A cache line pair of its own, since its owner writes it all the time.
#[repr(align(128))]
pub(crate) struct Vcpu {
    pub(crate) queue: RunQueue,
    pub(crate) timers: Shard,
    /// It looks for work: no task runs on it.
    pub(crate) free: AtomicBool,
    /// A tick has told its task to give way; cleared at the turn that follows.
    ticked: AtomicBool,
    /// While it sleeps: until when, [`NEVER`] for as long as nobody wakes it.
    pub(crate) sleeps_until: AtomicU64,
    pub(crate) tally: Tally,
}

impl Executor {
    /// An executor of `vcpus` vCPUs (1 to [`MAX_VCPUS`]) that does not spin before it sleeps.
    ///
    /// # Panics
    /// When `vcpus` is out of range.
    pub fn new(vcpus: usize, machine: &'static dyn Machine) -> Self {
        assert!((1..=MAX_VCPUS).contains(&vcpus), "an executor has 1 to {MAX_VCPUS} vCPUs");
        let vcpus = (0..vcpus).map(|_| Vcpu::new()).collect();
        Self {
            machine,
            vcpus,
            asleep: AtomicU64::new(0),
            active: AtomicU64::new(0),
            tick: Tick::new(),
            setting_alarm: Mutex::new(()),
            stopping: AtomicBool::new(false),
            next_home: AtomicUsize::new(0),
            spin_limit: 0,
        }
    }

    /// The same, but a vCPU without work spins up to `nanoseconds` before it sleeps, as far as it pays.
    ///
    /// 50,000 is a good limit where the host has more cores than the enclave has vCPUs; leave it at 0
    /// elsewhere.
    #[must_use]
    pub fn with_spin_limit(mut self, nanoseconds: u64) -> Self {
        self.spin_limit = nanoseconds;
        self
    }

    /// Starts a task; it may run before this returns.
    pub fn spawn(&'static self, future: impl Future<Output = ()> + Send + 'static) -> Shared<Task> {
        self.spawn_known(future, |_| ())
    }

    /// The same, but `tell` is called with the task before it can run.
    pub fn spawn_known(
        &'static self,
        future: impl Future<Output = ()> + Send + 'static,
        tell: impl FnOnce(&Shared<Task>),
    ) -> Shared<Task> {
        let home = match self.machine.current() {
            Some(vcpu) if vcpu < self.vcpus.len() => vcpu,
            _ => self.next_home.fetch_add(1, Ordering::Relaxed) % self.vcpus.len(),
        };
        let runnable = Task::create(self, Self::narrow(home), Box::pin(future));
        let task = Shared::clone(&runnable.task);
        tell(&task);
        self.enqueue(runnable);
        task
    }

    /// The loop of one vCPU; returns after [`Executor::shut_down`].
    ///
    /// # Panics
    /// When there is no such vCPU.
    pub fn run(&'static self, vcpu: usize) {
        let me = &self.vcpus[vcpu];
        let number = Self::narrow(vcpu);
        let mut idler = Idler::new(self, vcpu);
        let mut yielded: Option<Runnable> = None;
        let mut turns = 0_u32;
        self.active.fetch_or(1 << vcpu, Ordering::SeqCst);
        me.free.store(false, Ordering::Relaxed);
        while !self.is_stopping() {
            let next = if yielded.is_none() && me.queue.len() == 0 {
                idler.find_work()
            } else {
                self.machine.poll_events(vcpu);
                turns = turns.wrapping_add(1);
                let ticked = me.ticked.load(Ordering::Relaxed);
                if yielded.is_none() || turns.is_multiple_of(YIELDS_PER_CLOCK) || ticked {
                    me.timers.fire_due(self.machine);
                }
                if turns.is_multiple_of(TURNS_PER_BALANCE) || ticked {
                    me.ticked.store(false, Ordering::Relaxed);
                    idler.even_out(ticked);
                }
                match yielded.take() {
                    Some(last) => Some(me.queue.rotate(last)),
                    None => me.queue.pop(),
                }
            };
            let Some(next) = next else { continue };
            if next.task.may_run(vcpu) {
                self.watch_over_waiters(me);
                me.tally.polls.add(1);
                yielded = next.poll(number);
            } else {
                self.enqueue(next);
            }
        }
        self.active.fetch_and(!(1 << vcpu), Ordering::SeqCst);
        me.free.store(true, Ordering::Relaxed);
        if let Some(task) = yielded {
            me.queue.push(task);
        }
    }

    /// Ends the loops of all vCPUs, each when its present task suspends. Tasks are not dropped.
    pub fn shut_down(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for vcpu in 0..self.vcpus.len() {
            self.machine.wake(vcpu);
        }
    }

    /// Whether [`Executor::shut_down`] was called.
    #[inline]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether a task waits in this vCPU's queue, so that yielding would let somebody run.
    #[inline]
    pub fn others_wait(&self, vcpu: usize) -> bool {
        self.vcpus.get(vcpu).is_some_and(|vcpu| vcpu.queue.len() != 0)
    }

    /// Whether the task that runs on this vCPU should be preempted; asked by the kernel at a tick, and
    /// at the instant of an alarm.
    ///
    /// Also wakes a sleeping vCPU for those who wait, and switches the tick off when nobody does.
    pub fn preempt_wanted(&self, vcpu: usize) -> bool {
        let Some(me) = self.vcpus.get(vcpu) else { return false };
        let asleep = self.asleep.load(Ordering::Relaxed);
        if asleep != 0 && (self.somebody_queued() || !self.timers_are_watched()) {
            self.wake_one(asleep, Some(vcpu));
        }
        let mine = me.queue.len();
        let earliest = me.timers.earliest();
        let timer_due = earliest != NEVER && earliest <= self.machine.now();
        let fuller = asleep == 0 && self.vcpus.iter().any(|other| other.queue.len() > mine);
        if mine != 0 || timer_due || fuller {
            me.ticked.store(true, Ordering::Relaxed);
            self.tick.needed();
            return true;
        }
        if earliest != NEVER {
            self.watch_over(earliest); // an alarm that came too early, by our clock
        }
        if self.tick_wanted() {
            self.tick.needed();
        } else if self.tick.unneeded() {
            self.tick.disarm(self.machine, || self.tick_wanted());
        }
        false
    }

    /// What a vCPU did; all zero when there is no such vCPU.
    pub fn counters(&self, vcpu: usize) -> Counters {
        self.vcpus.get(vcpu).map(|vcpu| vcpu.tally.read()).unwrap_or_default()
    }

    /// How many vCPUs there are.
    pub fn vcpus(&self) -> usize {
        self.vcpus.len()
    }

    /// The time of the machine's clock, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.machine.now()
    }

    /// All vCPUs, as a mask.
    pub(crate) fn all_vcpus(&self) -> u64 {
        u64::MAX >> (MAX_VCPUS - self.vcpus.len())
    }

    /// Queues a task that was woken or is new, and wakes a vCPU for it if need be.
    pub(crate) fn enqueue(&self, runnable: Runnable) {
        let allowed = runnable.task.allowed();
        let target = self.place(&runnable.task);
        let vcpu = &self.vcpus[target];
        let waiting = vcpu.queue.push(runnable);
        // Pairs with the fence between a vCPU's announcement of its sleep and its last look, and with
        // that of the tick's switching off.
        barrier();
        let asleep = self.asleep.load(Ordering::Relaxed);
        if asleep >> target & 1 == 1 {
            self.wake_one(1 << target, None);
        } else if waiting >= 2 && asleep & allowed != 0 {
            self.wake_one(asleep & allowed, Some(target));
        }
        if !self.tick.is_on() && !vcpu.free.load(Ordering::Relaxed) {
            self.tick.arm(self.machine);
        }
    }

    /// The vCPU to whose queue a woken task goes.
    #[inline]
    fn place(&self, task: &Task) -> usize {
        if self.vcpus.len() == 1 { 0 } else { self.place_among(task) }
    }

    fn place_among(&self, task: &Task) -> usize {
        let allowed = task.allowed() & self.all_vcpus();
        let home = task.last_vcpu();
        let here = self.machine.current().filter(|&vcpu| allowed >> vcpu & 1 == 1);
        if let Some(here) = here
            && self.vcpus[here].free.load(Ordering::Relaxed)
        {
            return here;
        }
        let home_allowed = allowed >> home & 1 == 1;
        match here {
            // The waker will soon block, or the tick moves the task on: either is cheaper than to wake
            // another vCPU at each turn of a ping-pong.
            Some(here) if !home_allowed || self.vcpus[home].free.load(Ordering::Relaxed) => here,
            _ if home_allowed => home,
            _ => {
                let asleep = allowed & self.asleep.load(Ordering::Relaxed);
                let choice = if asleep == 0 { allowed } else { asleep };
                choice.trailing_zeros() as usize % self.vcpus.len()
            }
        }
    }

    /// Wakes the first of the sleeping vCPUs in `candidates`, unless somebody else did.
    ///
    /// `queue` names the vCPU whose queue holds the reason.
    pub(crate) fn wake_one(&self, candidates: u64, queue: Option<usize>) {
        let mut left = candidates & self.all_vcpus();
        while left != 0 {
            let vcpu = left.trailing_zeros() as usize;
            let bit = 1_u64 << vcpu;
            // Who clears the bit wakes: one exit per sleep, however many tasks come.
            if self.asleep.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                self.vcpus[queue.unwrap_or(vcpu)].tally.wakes.add_shared();
                self.machine.wake(vcpu);
                return;
            }
            left &= !bit;
        }
    }

    /// A task is about to run: starts the tick if somebody waits, and sees to the timers.
    #[inline]
    fn watch_over_waiters(&self, me: &Vcpu) {
        if me.queue.len() != 0 && !self.tick.is_on() {
            self.tick.arm(self.machine);
        }
        let earliest = me.timers.earliest();
        if earliest != NEVER {
            self.watch_over(earliest);
        }
    }

    /// Has user code interrupted at `deadline`, unless it will be, or a sleeping vCPU sees to it.
    pub(crate) fn watch_over(&self, deadline: u64) {
        if deadline < self.machine.alarm() && !self.timers_are_watched() {
            self.set_alarm(deadline);
        }
    }

    #[cold]
    fn set_alarm(&self, deadline: u64) {
        let _setting = self.setting_alarm.lock();
        if deadline < self.machine.alarm() {
            self.machine.set_alarm(deadline);
        }
    }

    /// Whether some queue holds a task.
    fn somebody_queued(&self) -> bool {
        self.vcpus.iter().any(|vcpu| vcpu.queue.len() != 0)
    }

    /// Whether somebody waits that only a tick can help.
    pub(crate) fn tick_wanted(&self) -> bool {
        let all_asleep = self.asleep.load(Ordering::Relaxed) == self.active.load(Ordering::Relaxed);
        !all_asleep && self.somebody_queued()
    }

    /// The instant of the earliest timer of all vCPUs.
    pub(crate) fn earliest_timer(&self) -> u64 {
        self.vcpus.iter().map(|vcpu| vcpu.timers.earliest()).min().unwrap_or(NEVER)
    }

    /// Whether a sleeping vCPU will wake in time for the earliest timer of all.
    pub(crate) fn timers_are_watched(&self) -> bool {
        let earliest = self.earliest_timer();
        let asleep = self.asleep.load(Ordering::Relaxed);
        earliest == NEVER
            || self.vcpus.iter().enumerate().any(|(number, vcpu)| {
                asleep >> number & 1 == 1 && vcpu.sleeps_until.load(Ordering::Relaxed) <= earliest
            })
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are at most 64 vCPUs")]
    fn narrow(vcpu: usize) -> u32 {
        vcpu as u32
    }
}

impl Vcpu {
    fn new() -> Self {
        Self {
            queue: RunQueue::new(),
            timers: Shard::new(),
            free: AtomicBool::new(true),
            ticked: AtomicBool::new(false),
            sleeps_until: AtomicU64::new(NEVER),
            tally: Tally::new(),
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("vcpus", &self.vcpus.len()).finish_non_exhaustive()
    }
}
