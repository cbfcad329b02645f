// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: one connection's bytes and its clock. The protocol (connection.h) knows
// sockets, TLS and threads through this alone, so the fuzzer and tests run it over memory.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace omg {

/// What happens on a connection. Calls come one after another, never from inside a call to the
/// transport.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  /// Bytes go both ways from now on (over TLS: the handshake is done).
  virtual void on_open() = 0;
  virtual void on_read(size_t bytes) = 0;  // > 0
  /// The peer will send no more: in an orderly way, or since the connection is broken.
  virtual void on_read_end(bool broken) = 0;
  virtual void on_written(bool all) = 0;
  virtual void on_timer() = 0;
};

/// All but post() and write_now() are called from inside events.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Once. `events` is kept alive while something is under way.
  virtual void start(std::shared_ptr<TransportEvents> events) = 0;
  /// Reads at least a byte into `room`, which stays where it is until on_read() or on_read_end().
  virtual void read(std::span<char> room) = 0;
  /// Writes all of `bytes`, which stay where they are until on_written().
  virtual void write(std::string_view bytes) = 0;
  /// Writes what goes at once, possibly nothing; returns how many bytes. From any thread, but
  /// neither while a write() is under way nor after close().
  virtual size_t write_now(std::string_view bytes) = 0;
  /// on_timer() at that time instead of any set before.
  virtual void wake_at(std::chrono::steady_clock::time_point time) = 0;
  /// Calls `task` between events. From any thread, never from inside the call.
  virtual void post(std::function<void()> task) = 0;
  /// Whether the peer has closed its side, behind bytes that were not read yet.
  virtual bool peer_has_closed() = 0;
  /// Tells the peer that nothing more will come. Reading goes on.
  virtual void finish_writing() = 0;
  /// Ends everything; pending calls come to nothing. May be called again.
  virtual void close() = 0;
};

}  // namespace omg
