// SPDX-License-Identifier: Apache-2.0
//
// What a model's chat template can do, for `omg show --capabilities`.
#pragma once

#include <string>

#include "base/json.h"
#include "clients/cli/terminal.h"
#include "text/template/capabilities.h"
#include "text/tools/tool_format.h"

namespace omg::cli {

struct TemplateDetails {
  std::string source;
  std::string default_name;  // of the family's usual template; empty where the file brings one
  TemplateCapabilities capabilities;
  ToolFormat format;
  bool opens_reasoning = false;  // the prompt does, unless a request says otherwise
};

/// Error(kNotFound) when the model has no template and none is known for its family; the error of
/// one that does not parse.
TemplateDetails read_template_details(const std::string& path);

json::object details_to_json(const TemplateDetails& details);
std::string details_to_text(const TemplateDetails& details, const Terminal& terminal);

}  // namespace omg::cli
