//! Tests of the whole: hand-made sites, random code, and the machine's own libraries.

mod between;
mod cases;
mod host;
mod property;
mod world;
