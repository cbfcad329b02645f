// SPDX-License-Identifier: Apache-2.0
//
// Counts and speeds of an answer, as `--verbose` shows them.
#pragma once

#include <string>

#include "clients/cli/model_client.h"

namespace omg::cli {

/// Line for line the layout of `ollama run --verbose`, which scripts read: a line whose value is 0
/// is left out there too.
std::string format_statistics(const AnswerStatistics& statistics);

}  // namespace omg::cli
