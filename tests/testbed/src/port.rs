//! Free TCP ports on loopback, for servers that must be told theirs.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
    net::{Ipv4Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::error::{Error, Result};

/// Below the range from which Linux takes the ports of outgoing connections, any of which could steal one between
/// here and the server's own bind.
const FIRST: u64 = 12_000;
const COUNT: u64 = 20_000;

static GIVEN: LazyLock<Mutex<BTreeSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that nobody listens on and that this process hasn't given out before.
///
/// Two processes draw from 20,000 at random, so that they practically never draw the same one in the moment before
/// the server binds it.
pub(crate) fn free() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        // Every RandomState has new random keys: the standard library's only source of randomness.
        let drawn = FIRST + RandomState::new().hash_one(()) % COUNT;
        let Ok(port) = u16::try_from(drawn) else { continue };
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    Err(Error::io("find a free port")(
        std::io::ErrorKind::AddrInUse.into(),
    ))
}
