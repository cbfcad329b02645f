// SPDX-License-Identifier: Apache-2.0
//
// Findings as people and programs read them.
#pragma once

#include <string>

#include "base/json.h"
#include "clients/cli/doctor/finding.h"
#include "clients/cli/terminal.h"

namespace omg::cli::doctor {

size_t count(const Findings& findings, Level level);
/// In the order of the findings, with a summary. Lines break at words where they would be longer
/// than `columns`; 0: never.
std::string report_text(const Findings& findings, const Terminal& terminal, size_t columns);
/// {"checks": [{"name", "level", "text", "why", "fix"}…], "problems": N, "warnings": N}; why and
/// fix are null where all is well.
json::object report_json(const Findings& findings);

/// `text` in lines of at most `columns`, the second and later ones indented. What stands in single
/// quotes is a command, and is not broken.
std::string wrapped(const std::string& text, size_t columns, size_t indent);

}  // namespace omg::cli::doctor
