//! End to end: the real `hifi` program on loopback, real Postgres, real sockets, unmodified clients. One binary, one file a subject.

mod clients;
mod harness;
mod maker;
mod parts;
mod recovery;
mod replay;
mod trading;
