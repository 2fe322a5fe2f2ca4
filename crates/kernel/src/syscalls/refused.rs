//! Calls that are refused by design, with the errno of a Linux that is built or set up without them.
//!
//! They are there as a refusal: no line about a missing call is printed, and a program that asks learns
//! what it would learn on such a Linux. `tools/syscall_table.py` reads this table.

use abi::errno::Error;
use abi::{Errno, nr};

const NO_LANDLOCK: &str = "landlock is off";
const NO_KEYS: &str = "there are no keyrings";

const REFUSED: &[(usize, Error)] = &[
    // As on a Linux that was started without it.
    (nr::LANDLOCK_CREATE_RULESET, Errno::EOPNOTSUPP.because(NO_LANDLOCK)),
    (nr::LANDLOCK_ADD_RULE, Errno::EOPNOTSUPP.because(NO_LANDLOCK)),
    (nr::LANDLOCK_RESTRICT_SELF, Errno::EOPNOTSUPP.because(NO_LANDLOCK)),
    // As container runtimes answer by default.
    (nr::ADD_KEY, Errno::EPERM.because(NO_KEYS)),
    (nr::REQUEST_KEY, Errno::EPERM.because(NO_KEYS)),
    (nr::KEYCTL, Errno::EPERM.because(NO_KEYS)),
];

/// What a call is refused with; `None`: it is not refused by design.
pub(super) fn refusal(number: usize) -> Option<Error> {
    REFUSED.iter().find(|(refused, _)| *refused == number).map(|(_, error)| *error)
}
