// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/ollama: what all routes share, and the handlers by subject.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ollama/ollama.h"

namespace omg::ollama {

/// Names as Ollama shows them: with ":latest" where there is no tag.
std::string shown_name(std::string_view name);
/// With the registry that Ollama would think of: "registry.ollama.ai/library/m:latest".
std::string full_name(std::string_view name);
/// Whether a text could be a model's name at all.
bool may_be_name(std::string_view text);
/// The model of that name, also where ":latest" was added to one that has no tag. HttpRefusal: 400
/// "invalid model name", 404 with `not_found`.
StoredModel find_model(const ModelCatalog& catalog, const std::string& name,
                       const std::string& not_found);

/// What a model can do, by its run if there is one, else by its files.
struct ModelAbilities {
  bool complete = true;
  bool has_template = false;
  bool use_tools = false;
  bool think = false;
  /// Whether that can be switched, as far as it is known: what other tools say of a model need not
  /// hold for the template that is used here.
  enum class Switch { kNo, kYes, kUnknown };
  Switch thinking_switch = Switch::kNo;
  bool fill_in = false;
};
ModelAbilities abilities_of(const OllamaParts& parts, const StoredModel& model);

/// The handlers. `parts.clock` is set.
void add_answer_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts);
void add_model_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts);
void add_job_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts);

/// A handler whose errors become answers in Ollama's shape.
HttpHandler guarded(HttpHandler handler);

}  // namespace omg::ollama
