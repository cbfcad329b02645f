// SPDX-License-Identifier: Apache-2.0
#include "text/template/default_template.h"

#include <algorithm>
#include <array>

namespace omg {
namespace {

struct Entry {
  std::string_view name;
  std::array<std::string_view, 8> families;  // general.architecture begins with one of these
  std::array<std::string_view, 3> markers;   // all of them must be control tokens
  std::string_view source;
};

// The system message's place and the line breaks are the families' own; none of this is optional.
constexpr Entry kEntries[] = {
    {"chatml",
     {"qwen", "internlm2", "minicpm", "smollm", "olmo", "granite", "llama", "lfm2"},
     {"<|im_start|>", "<|im_end|>"},
     R"({% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }})"
     R"({% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})"},
    {"llama3",
     {"llama"},
     {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     R"({{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' ~ m.role ~ )"
     R"('<|end_header_id|>\n\n' ~ m.content | trim ~ '<|eot_id|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})"
     R"({% endif %})"},
    {"gemma",
     {"gemma"},
     {"<start_of_turn>", "<end_of_turn>"},
     R"({{ bos_token }}{% for m in messages %}{% if m.role == 'system' %})"
     R"({{ raise_exception('System role not supported') }}{% endif %}{{ '<start_of_turn>' ~ )"
     R"(('model' if m.role == 'assistant' else m.role) ~ '\n' ~ m.content | trim ~ )"
     R"('<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %})"
     R"({{ '<start_of_turn>model\n' }}{% endif %})"},
    {"phi3",
     {"phi3"},
     {"<|user|>", "<|assistant|>", "<|end|>"},
     R"({{ bos_token }}{% for m in messages %}{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ )"
     R"('<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }})"
     R"({% endif %})"},
    {"mistral",
     {"llama", "mistral"},
     {"[INST]", "[/INST]"},
     R"({{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' ~ m.content ~ )"
     R"('[/INST]' }}{% elif m.role == 'assistant' %}{{ ' ' ~ m.content | trim ~ eos_token }})"
     R"({% else %}{{ raise_exception('Only user and assistant roles are supported') }}{% endif %})"
     R"({% endfor %})"},
    {"deepseek",
     {"deepseek"},
     {"<｜User｜>", "<｜Assistant｜>"},
     R"({{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' ~ )"
     R"(m.content }}{% elif m.role == 'assistant' %}{{ '<｜Assistant｜>' ~ m.content ~ eos_token }})"
     R"({% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %})"
     R"({{ '<｜Assistant｜>' }}{% endif %})"},
    {"granite",
     {"granite"},
     {"<|start_of_role|>", "<|end_of_role|>"},
     R"({% for m in messages %}{{ '<|start_of_role|>' ~ m.role ~ '<|end_of_role|>' ~ m.content ~ )"
     R"('<|end_of_text|>\n' }}{% endfor %}{% if add_generation_prompt %})"
     R"({{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %})"},
    {"command-r",
     {"command-r", "cohere"},
     {"<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"},
     R"({{ bos_token }}{% for m in messages %}{{ '<|START_OF_TURN_TOKEN|>' ~ )"
     R"(('<|CHATBOT_TOKEN|>' if m.role == 'assistant' else '<|USER_TOKEN|>' if m.role == 'user' )"
     R"(else '<|SYSTEM_TOKEN|>') ~ m.content | trim ~ '<|END_OF_TURN_TOKEN|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }})"
     R"({% endif %})"},
};

}  // namespace

std::optional<DefaultTemplate> default_chat_template(
    std::string_view family, const std::function<bool(std::string_view)>& is_control_token) {
  for (const Entry& entry : kEntries) {
    const bool is_family = std::any_of(
        entry.families.begin(), entry.families.end(),
        [&](std::string_view name) { return !name.empty() && family.starts_with(name); });
    const bool has_markers =
        is_family &&
        std::all_of(entry.markers.begin(), entry.markers.end(), [&](std::string_view marker) {
          return marker.empty() || is_control_token(marker);
        });
    if (has_markers) return DefaultTemplate{entry.name, entry.source};
  }
  return std::nullopt;
}

}  // namespace omg
