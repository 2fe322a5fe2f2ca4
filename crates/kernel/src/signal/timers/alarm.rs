//! When a timer expires, and how it goes on.

/// What a timer is set to, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until it expires; 0 disarmed.
    pub value: u64,
    /// From then on, each time; 0 once.
    pub interval: u64,
}

/// A clock's time at which a timer expires, and how it goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    /// `None`: not armed.
    pub(super) deadline: Option<u64>,
    interval: u64,
    /// Expired with an interval; armed anew when the signal is delivered.
    pub(super) undelivered: Option<u64>,
}

impl Alarm {
    pub(super) fn set(&mut self, deadline: Option<u64>, interval: u64) {
        *self = Self { deadline, interval, undelivered: None };
    }

    /// What gettime(2) tells at `now`.
    pub(super) fn setting(&self, now: u64) -> Setting {
        let value = match (self.deadline, self.undelivered) {
            (Some(deadline), _) => deadline.saturating_sub(now).max(1),
            // It goes on at a multiple of the interval.
            (None, Some(since)) => self.interval - now.saturating_sub(since) % self.interval.max(1),
            (None, None) => 0,
        };
        Setting { value, interval: self.interval }
    }

    /// Whether it has expired at `now`; it is disarmed then.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) else {
            return false;
        };
        self.deadline = None;
        self.undelivered = (self.interval != 0).then_some(deadline);
        true
    }

    /// Arms it anew at `now`, when its signal is delivered; gives how often it expired since.
    pub(super) fn delivered(&mut self, now: u64) -> u64 {
        let Some(since) = self.undelivered.take() else { return 0 };
        let missed = now.saturating_sub(since) / self.interval.max(1);
        self.deadline = Some(since.saturating_add((missed + 1).saturating_mul(self.interval)));
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::{Alarm, Setting};

    #[test]
    fn an_interval_goes_on_at_delivery_and_counts_what_was_missed() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.setting(5), Setting::default());
        alarm.set(Some(100), 10);
        assert_eq!(alarm.setting(40), Setting { value: 60, interval: 10 });
        assert!(!alarm.expire(99));
        assert!(alarm.expire(103));
        assert!(!alarm.expire(200));
        assert_eq!(alarm.setting(125), Setting { value: 5, interval: 10 });
        assert_eq!(alarm.delivered(125), 2);
        assert_eq!(alarm.setting(125), Setting { value: 5, interval: 10 });
        assert_eq!(alarm.delivered(126), 0);
    }

    #[test]
    fn one_shot_ends() {
        let mut alarm = Alarm::default();
        alarm.set(Some(100), 0);
        assert!(alarm.expire(100));
        assert_eq!(alarm.setting(100), Setting::default());
        assert_eq!(alarm.delivered(500), 0);
        assert!(alarm.deadline.is_none());
    }
}
