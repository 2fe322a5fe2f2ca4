//! What the executor asks of the platform.

/// A set of virtual processors and their clock.
///
/// A vCPU has an *event word*, a counter that [`Machine::wake`] (and whoever posts an outside event)
/// counts up. Reading it before looking for work, and sleeping only while it is unchanged, is what
/// makes a wake-up between the look and the sleep impossible to lose.
pub trait Machine: Sync {
    /// The time in nanoseconds; monotonic, the same on all vCPUs.
    fn now(&self) -> u64;

    /// The vCPU that calls, or `None` from a thread that is none.
    ///
    /// With it, a task that wakes another and then blocks hands its own vCPU over, without waking one
    /// that sleeps. `None` is always safe.
    fn current(&self) -> Option<usize> {
        None
    }

    /// The present value of a vCPU's event word.
    fn event(&self, vcpu: usize) -> u32;

    /// Sleeps until the event word differs from `event` or `deadline` (of [`Machine::now`]) has come.
    ///
    /// May return early for no reason.
    fn sleep(&self, vcpu: usize, event: u32, deadline: Option<u64>);

    /// Counts a vCPU's event word up and ends its sleep. Costs an exit.
    fn wake(&self, vcpu: usize);

    /// Takes in what has come from outside (mailbox, completions of the vCPU's ring).
    ///
    /// Called at each turn, so it must cost next to nothing when there is nothing. True when it woke a
    /// task. An event that arrives after [`Machine::event`] was read must change the event word.
    fn poll_events(&self, vcpu: usize) -> bool;

    /// Starts or stops the preemption tick of all vCPUs. Costs an exit.
    ///
    /// At each tick that interrupts user code the kernel asks [`crate::Executor::preempt_wanted`].
    fn set_tick(&self, on: bool);

    /// Has all vCPUs that run user code interrupted at `deadline` (of [`Machine::now`]), as a tick does,
    /// in place of the last instant asked for. Costs an exit.
    fn set_alarm(&self, deadline: u64);

    /// The instant that [`Machine::set_alarm`] asked for; [`crate::timer::NEVER`] once it has come, and
    /// while there is none. Then the interruption is still to come, or has been asked for already.
    fn alarm(&self) -> u64;

    /// A pause within a spin loop.
    fn relax(&self);
}
