// SPDX-License-Identifier: Apache-2.0
//
// Fuzzer: any bytes as a template. Parsing and rendering must end, within small limits, either well
// or with an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/template/chat_template.h"

namespace {

constexpr std::string_view kContext = R"({
  "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "ünï 日本"},
               {"role": "assistant", "content": null,
                "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5, "y": [true]}}}]}],
  "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
  "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true
})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const omg::json::value context = omg::parse_json(kContext, "context");
  omg::RenderOptions options;
  options.now = std::chrono::sys_seconds{std::chrono::seconds{1'769'860'800}};
  options.max_output_bytes = 64u << 10;
  options.max_memory_bytes = 1u << 20;
  options.max_steps = 50'000;
  try {
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    omg::ChatTemplate::parse(source).render(context.as_object(), options);
  } catch (const omg::Error&) {
    // Most inputs are no valid template, which is what the error is for.
  }
  return 0;
}
