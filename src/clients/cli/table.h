// SPDX-License-Identifier: Apache-2.0
//
// Aligned text for listings: tables with a heading row, and sections of "key  value" lines.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cli/terminal.h"

namespace omg::cli {

/// Columns that `text` takes on a terminal; wide characters count 2, combining ones 0.
size_t display_width(std::string_view text);

enum class Align { kLeft, kRight };

/// Columns are as wide as their widest cell, three spaces apart.
class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell per column.
  void add_row(std::vector<std::string> cells);
  /// Heading (bold on a terminal) and rows, each with a line end.
  std::string to_string(const Terminal& terminal) const;
  /// Without styles, for standard error.
  std::string to_string() const {
    return to_text([](const std::string& text) { return text; });
  }

 private:
  using Styler = std::function<std::string(const std::string&)>;
  std::string to_text(const Styler& heading_style) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "  Heading\n    key   value\n…": the layout of `ollama show`. Keys of all sections align.
class Sections {
 public:
  void begin(std::string heading);
  void add(std::string key, std::string value);
  std::string to_string(const Terminal& terminal) const;

 private:
  struct Line {
    bool is_heading;
    std::string key;
    std::string value;
  };
  std::vector<Line> lines_;
};

}  // namespace omg::cli
