// SPDX-License-Identifier: Apache-2.0
#include "text/template/chat_template.h"

#include <utility>

#include "text/template/ast.h"
#include "text/template/evaluator.h"
#include "text/template/parser.h"

namespace omg {

struct ChatTemplate::Program {
  jinja::Syntax syntax;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

ChatTemplate ChatTemplate::parse(std::string_view source) {
  return ChatTemplate(std::make_unique<Program>(Program{jinja::Parser::parse(source)}));
}

std::string ChatTemplate::render(const json::object& context, const RenderOptions& options) const {
  return jinja::Evaluator(program_->syntax, context, options).run();
}

const std::string& ChatTemplate::source() const {
  return program_->syntax.source;
}

}  // namespace omg
