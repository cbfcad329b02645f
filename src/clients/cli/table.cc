// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/table.h"

#include <algorithm>
#include <cassert>
#include <wchar.h>

#include "base/utf8.h"

namespace omg::cli {
namespace {

std::string padded(const std::string& text, size_t width, Align align) {
  const size_t used = display_width(text);
  const std::string fill(width > used ? width - used : 0, ' ');
  return align == Align::kLeft ? text + fill : fill + text;
}

void trim_end(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    i += point.size;
    // wcwidth says -1 for characters that the locale does not know; they take a column as a rule.
    const int columns = ::wcwidth(static_cast<wchar_t>(point.value));
    width += columns < 0 ? 1 : static_cast<size_t>(columns);
  }
  return width;
}

void Table::add_row(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::to_string(const Terminal& terminal) const {
  return to_text(
      [&](const std::string& heading) { return terminal.styled(Style::kBold, heading); });
}

std::string Table::to_text(const Styler& heading_style) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = display_width(columns_[c].heading);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string heading;
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (c > 0) heading += "   ";
    heading += padded(columns_[c].heading, widths[c], columns_[c].align);
  }
  trim_end(heading);
  std::string text = heading_style(heading) + "\n";
  for (const auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) line += "   ";
      line += padded(row[c], widths[c], columns_[c].align);
    }
    trim_end(line);
    text += line + "\n";
  }
  return text;
}

void Sections::begin(std::string heading) {
  lines_.push_back({true, std::move(heading), ""});
}

void Sections::add(std::string key, std::string value) {
  lines_.push_back({false, std::move(key), std::move(value)});
}

std::string Sections::to_string(const Terminal& terminal) const {
  size_t width = 16;
  for (const Line& line : lines_) {
    if (!line.is_heading) width = std::max(width, display_width(line.key));
  }
  std::string text;
  for (const Line& line : lines_) {
    if (line.is_heading) {
      if (!text.empty()) text += "\n";
      text += "  " + terminal.styled(Style::kBold, line.key) + "\n";
      continue;
    }
    std::string row = "    " + padded(line.key, width, Align::kLeft) + "   " + line.value;
    trim_end(row);
    text += row + "\n";
  }
  return text;
}

}  // namespace omg::cli
