// SPDX-License-Identifier: Apache-2.0
//
// How `omg COMMAND --help` looks: usage, arguments and options in groups, with descriptions that
// wrap in their own column.
#pragma once

#include <CLI/App.hpp>
#include <CLI/FormatterFwd.hpp>
#include <string>

namespace omg::cli {

class HelpFormatter : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

}  // namespace omg::cli
