// SPDX-License-Identifier: Apache-2.0
//
// What a check of `omg doctor` says. Checks are functions from what was seen to findings, so that
// each can be tried with machines that nobody has; seeing and showing are apart from them.
#pragma once

#include <string>
#include <vector>

namespace omg::cli::doctor {

enum class Level {
  kOk,
  kWarning,  // works, but worse than it could, or not for long
  kProblem,  // something that people do here fails
};

struct Finding {
  std::string name;  // what was looked at: "memory"
  Level level = Level::kOk;
  std::string text;  // what is so
  std::string why;   // why it matters; "" where all is well
  std::string fix;   // a command or a setting; "" where all is well
};

using Findings = std::vector<Finding>;

inline Finding ok(std::string name, std::string text) {
  return {std::move(name), Level::kOk, std::move(text), "", ""};
}
inline Finding warning(std::string name, std::string text, std::string why, std::string fix) {
  return {std::move(name), Level::kWarning, std::move(text), std::move(why), std::move(fix)};
}
inline Finding problem(std::string name, std::string text, std::string why, std::string fix) {
  return {std::move(name), Level::kProblem, std::move(text), std::move(why), std::move(fix)};
}

}  // namespace omg::cli::doctor
