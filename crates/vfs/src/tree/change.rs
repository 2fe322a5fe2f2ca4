//! Changing attributes, here or in the layer below as well.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::errno::Result;

use super::attributes::{self, Attributes};
use super::lower::Origin;
use crate::node::{Answer, Change, Time};

/// Makes a change whose permission was checked.
pub(super) fn change<'a>(
    attributes: &'a Attributes,
    origin: Option<&'a Arc<Origin>>,
    change: Change,
) -> Answer<'a, ()> {
    match origin.filter(|origin| origin.policy().through) {
        None => {
            attributes.change(change);
            Answer::Now(Ok(()))
        }
        Some(origin) => Answer::Later(Box::pin(carry(attributes, origin, change))),
    }
}

async fn carry(attributes: &Attributes, origin: &Arc<Origin>, change: Change) -> Result<()> {
    let path = origin.path();
    match change {
        Change::Permissions(mode) => origin.lower().set_permissions(&path, mode).await?,
        Change::Times(accessed, modified) => {
            origin.lower().set_times(&path, time(accessed), time(modified)).await?;
        }
        Change::Owner(uid, gid, _) => {
            let owner = attributes.owner();
            let uid = uid.filter(|uid| *uid != owner.uid);
            let gid = gid.filter(|gid| *gid != owner.gid);
            if uid.is_some() || gid.is_some() {
                origin.lower().set_owner(&path, uid, gid).await?;
            }
        }
    }
    attributes.change(change);
    Ok(())
}

fn time(time: Time) -> Option<i64> {
    match time {
        Time::Keep => None,
        Time::Now => Some(attributes::now()),
        Time::At(at) => Some(at),
    }
}
