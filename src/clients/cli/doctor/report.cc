// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/report.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "clients/cli/table.h"

namespace omg::cli::doctor {
namespace {

constexpr size_t kMark = 4;  // columns before a name: "  ✓ "

std::string mark(Level level, const Terminal& terminal) {
  if (level == Level::kOk) return terminal.styled(Style::kGreen, "✓");
  if (level == Level::kWarning) return terminal.styled(Style::kYellow, "!");
  return terminal.styled(Style::kRed, "✗");
}

std::string_view level_name(Level level) {
  constexpr std::array<std::string_view, 3> names = {"ok", "warning", "problem"};
  return names[static_cast<size_t>(level)];
}

/// Words, but what stands in single quotes is one: 'omg gc' is no place for a line to end.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'') {
      // An apostrophe has letters on both sides.
      const bool opens = !is_quoted && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '(');
      is_quoted = opens;
    }
    if (c == ' ' && !is_quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::string counted(size_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

std::string summary(const Findings& findings, const Terminal& terminal) {
  const size_t problems = count(findings, Level::kProblem);
  const size_t warnings = count(findings, Level::kWarning);
  if (problems == 0 && warnings == 0) {
    return terminal.styled(Style::kGreen, "All is well.") + "\n";
  }
  std::string text = counted(problems, "problem");
  text = terminal.styled(problems > 0 ? Style::kRed : Style::kGreen,
                         problems > 0 ? text : "No problem");
  return text + ", " + counted(warnings, "warning") + ".\n";
}

}  // namespace

size_t count(const Findings& findings, Level level) {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [&](const Finding& f) { return f.level == level; }));
}

std::string wrapped(const std::string& text, size_t columns, size_t indent) {
  if (columns == 0) return text;
  std::string lines;
  size_t used = indent;
  for (const std::string& word : words_of(text)) {
    const size_t width = display_width(word);
    if (used > indent && used + 1 + width > columns) {
      lines += "\n" + std::string(indent, ' ');
      used = indent;
    } else if (used > indent) {
      lines += ' ';
      ++used;
    }
    lines += word;
    used += width;
  }
  return lines;
}

std::string report_text(const Findings& findings, const Terminal& terminal, size_t columns) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.name.size());
  const size_t indent = kMark + width + 3;
  const std::string margin(indent, ' ');
  std::string text;
  for (const Finding& finding : findings) {
    text += "  " + mark(finding.level, terminal) + " " +
            terminal.styled(Style::kBold, finding.name) +
            std::string(width - finding.name.size() + 3, ' ') +
            wrapped(finding.text, columns, indent) + "\n";
    if (!finding.why.empty()) text += margin + wrapped(finding.why, columns, indent) + "\n";
    if (!finding.fix.empty()) {
      text += margin + terminal.styled(Style::kBold, "→") + " " +
              wrapped(finding.fix, columns, indent + 2) + "\n";
    }
  }
  return text + "\n" + summary(findings, terminal);
}

json::object report_json(const Findings& findings) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
  };
  json::array checks;
  for (const Finding& finding : findings) {
    checks.push_back({{"name", finding.name},
                      {"level", level_name(finding.level)},
                      {"text", finding.text},
                      {"why", or_null(finding.why)},
                      {"fix", or_null(finding.fix)}});
  }
  return {{"checks", std::move(checks)},
          {"problems", count(findings, Level::kProblem)},
          {"warnings", count(findings, Level::kWarning)}};
}

}  // namespace omg::cli::doctor
