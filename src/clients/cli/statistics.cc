// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/statistics.h"

#include <fmt/format.h>

#include "clients/cli/format.h"

namespace omg::cli {
namespace {

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

void add_part(std::string& text, const char* name, uint32_t tokens,
              std::chrono::nanoseconds duration) {
  const auto label = [&](const char* what) {
    return fmt::format("{:<22}", fmt::format("{} {}:", name, what));
  };
  if (tokens > 0) text += label("count") + fmt::format("{} token(s)\n", tokens);
  if (duration.count() > 0) {
    text += label("duration") + format_duration(duration) + "\n";
    text += label("rate") + fmt::format("{:.2f} tokens/s\n", tokens / seconds(duration));
  }
}

}  // namespace

std::string format_statistics(const AnswerStatistics& statistics) {
  std::string text;
  if (statistics.total_duration.count() > 0) {
    text +=
        fmt::format("{:<22}{}\n", "total duration:", format_duration(statistics.total_duration));
  }
  if (statistics.load_duration.count() > 0) {
    text += fmt::format("{:<22}{}\n", "load duration:", format_duration(statistics.load_duration));
  }
  add_part(text, "prompt eval", statistics.prompt_tokens, statistics.prompt_duration);
  add_part(text, "eval", statistics.generated_tokens, statistics.generation_duration);
  return text;
}

}  // namespace omg::cli
