// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_log.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace omg {

void WorkerLog::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const size_t fits = std::min(end, kMaxLogLineBytes - line_.size());
    line_.append(bytes.substr(0, fits));
    is_cut_ |= fits < end;
    if (end == bytes.size()) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void WorkerLog::finish() {
  if (!line_.empty()) end_line();
  if (left_out_ > 0) add(std::to_string(std::exchange(left_out_, 0)) + " lines were left out");
}

void WorkerLog::end_line() {
  std::string line = replace_invalid_utf8(std::exchange(line_, {}));
  for (char& letter : line) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7f) letter = byte == '\t' ? ' ' : '?';
  }
  if (std::exchange(is_cut_, false)) line += " …";
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    in_second_ = 0;
    if (left_out_ > 0) add(std::to_string(std::exchange(left_out_, 0)) + " lines were left out");
  }
  if (++in_second_ > kMaxLogLinesPerSecond) {
    ++left_out_;
    return;
  }
  add(std::move(line));
}

void WorkerLog::add(std::string line) {
  if (sink_) sink_(line);
  const std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
  if (lines_.size() > kMaxLogLines) lines_.pop_front();
}

std::vector<std::string> WorkerLog::lines(size_t most) const {
  const std::lock_guard lock(mutex_);
  const size_t count = most == 0 ? lines_.size() : std::min(most, lines_.size());
  return {lines_.end() - static_cast<ptrdiff_t>(count), lines_.end()};
}

}  // namespace omg
