// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/system_checks.h"

#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <sys/resource.h>

#include "clients/cli/format.h"

namespace omg::cli::doctor {
namespace {

/// Besides connections: files of models, workers' pipes, the store, downloads.
constexpr uint64_t kOwnFiles = 128;

/// No answer to a chat fits into fewer, with a store and a download beside it.
constexpr uint64_t kLeastFiles = 256;

uint64_t hard_limit(__rlimit_resource_t resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) {
    return LimitState::kNone;
  }
  return limit.rlim_max;
}

std::string shown_time(int64_t seconds) {
  const time_t time = seconds;
  tm parts{};
  char text[32] = "an unknown time";
  if (::gmtime_r(&time, &parts) != nullptr) {
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  }
  return text;
}

std::string shown_difference(int64_t seconds) {
  if (seconds < 120) return fmt::format("{} seconds", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} minutes", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{} hours", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

constexpr const char* kSetClock = "sudo timedatectl set-ntp true";

}  // namespace

LimitState look_at_limits() {
  LimitState state;
  state.open_files = hard_limit(RLIMIT_NOFILE);
  rlimit space{};
  // This one is not raised: what a process may take is its soft limit.
  if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
    state.address_space = space.rlim_cur;
  }
  return state;
}

std::optional<int64_t> parse_http_date(const std::string& text) {
  tm parts{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return ::timegm(&parts);
}

Finding check_open_files(const LimitState& state) {
  if (state.open_files == LimitState::kNone) return ok("open files", "no limit");
  const std::string text = fmt::format("{} at once", state.open_files);
  constexpr const char* kRaise =
      "raise the hard limit: 'LimitNOFILE=65536' of a systemd unit, 'docker run --ulimit "
      "nofile=65536', or a line '* hard nofile 65536' in /etc/security/limits.conf";
  if (state.open_files < kLeastFiles) {
    return problem("open files", text, "the daemon runs out of them with a few answers", kRaise);
  }
  if (state.open_files < state.connections + kOwnFiles) {
    return warning("open files", text,
                   fmt::format("max_connections is {}: clients beyond about {} are not served",
                               state.connections, state.open_files - kOwnFiles),
                   kRaise);
  }
  return ok("open files", text);
}

std::optional<Finding> check_address_space(const LimitState& state) {
  if (state.address_space == LimitState::kNone) return std::nullopt;
  return warning("address space",
                 fmt::format("a process may have {}", format_bytes(state.address_space)),
                 "larger models cannot be mapped, though there is memory", "ulimit -v unlimited");
}

Finding check_clock(const ClockState& state) {
  constexpr int64_t kYear2025 = 1735689600;
  constexpr int64_t kYear2100 = 4102444800;
  const std::string now = shown_time(state.now);
  constexpr const char* kWhy =
      "certificates of hubs are taken for expired or not yet valid, and times of use are wrong";
  if (!state.hub) {
    if (state.now >= kYear2025 && state.now < kYear2100) {
      return ok("clock", now + "; not compared with any hub's");
    }
    return problem("clock", "it says " + now, kWhy, kSetClock);
  }
  const int64_t off = std::llabs(state.now - *state.hub);
  if (off <= 60) return ok("clock", fmt::format("{}, as {} says", now, state.hub_name));
  const std::string text = fmt::format("{} {} what {} says ({})", shown_difference(off),
                                       state.now > *state.hub ? "ahead of" : "behind",
                                       state.hub_name, shown_time(*state.hub));
  if (off <= 86400) return warning("clock", text, kWhy, kSetClock);
  return problem("clock", text, kWhy, kSetClock);
}

}  // namespace omg::cli::doctor
