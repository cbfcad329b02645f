// SPDX-License-Identifier: Apache-2.0
//
// A signal handler has no arguments of ours, so the guard that is in force is found through two
// atomics of this file.
#include "clients/cli/interrupt.h"

#include <atomic>

namespace omg::cli {
namespace {

std::atomic<CancellationToken*> active_token{nullptr};
std::atomic<bool> active_second_kills{false};
static_assert(std::atomic<CancellationToken*>::is_always_lock_free);

void on_interrupt(int signal) {
  CancellationToken* token = active_token.load();
  if (token == nullptr) return;
  if (token->is_cancelled() && active_second_kills.load()) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  token->cancel();
}

}  // namespace

InterruptGuard::InterruptGuard(CancellationToken token, bool second_kills)
    : token_(std::move(token)),
      outer_token_(active_token.load()),
      outer_second_kills_(active_second_kills.load()) {
  active_second_kills.store(second_kills);
  active_token.store(&token_);
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read that waits for the keyboard must return
  ::sigaction(SIGINT, &action, &previous_);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &previous_, nullptr);
  active_token.store(outer_token_);
  active_second_kills.store(outer_second_kills_);
}

}  // namespace omg::cli
