// SPDX-License-Identifier: Apache-2.0
//
// The token stream and the statements; expressions are in parser_expressions.cc.
#include "text/template/parser.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace omg::jinja {
namespace {

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "end of template";
    case TokenKind::kText:
      return "text";
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "a number";
    default:
      return "'" + token.text + "'";
  }
}

void check_source(std::string_view source) {
  if (source.size() > Parser::kMaxSource) {
    throw Error(ErrorCode::kLimitExceeded,
                "the chat template is too long: " + std::to_string(source.size()) +
                    " bytes, the limit is " + std::to_string(Parser::kMaxSource));
  }
  uint32_t line = 1;
  for (size_t i = 0; i < source.size();) {
    const auto decoded = decode_utf8(source, i);
    if (!decoded.valid) fail_parse(line, 1, "the template is not valid UTF-8");
    line += source[i] == '\n';
    i += decoded.size;
  }
}

}  // namespace

Syntax Parser::parse(std::string_view source) {
  check_source(source);
  Syntax syntax;
  syntax.source = std::string(source);
  Parser parser(syntax);
  syntax.body = parser.parse_body({});
  parser.fail_if_unknown(0);
  return syntax;
}

Parser::Parser(Syntax& syntax) : syntax_(syntax) {
  tokens_ = tokenize(normalize_source(syntax.source));
  syntax.loop = intern("loop");
  syntax.caller = intern("caller");
  syntax.varargs = intern("varargs");
  syntax.kwargs = intern("kwargs");
}

const Token& Parser::peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

void Parser::fail(const Token& token, const std::string& why) const {
  fail_parse(token.line, token.column, why);
}

bool Parser::at_operator(std::string_view text) const {
  return peek().kind == TokenKind::kOperator && peek().text == text;
}

bool Parser::at_name(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
}

bool Parser::skip_operator(std::string_view text) {
  if (!at_operator(text)) return false;
  ++at_;
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!at_name(text)) return false;
  ++at_;
  return true;
}

void Parser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) {
    fail(peek(), "expected '" + std::string(text) + "', got " + describe(peek()));
  }
}

const Token& Parser::expect_name() {
  if (peek().kind != TokenKind::kName) fail(peek(), "expected a name, got " + describe(peek()));
  return advance();
}

void Parser::expect_kind(TokenKind kind, std::string_view what) {
  if (peek().kind != kind) {
    fail(peek(), "expected " + std::string(what) + ", got " + describe(peek()));
  }
  ++at_;
}

NameId Parser::intern(std::string_view name) {
  const auto [found, added] =
      ids_.try_emplace(std::string(name), static_cast<NameId>(syntax_.names.size()));
  if (added) {
    syntax_.names.emplace_back(name);
    uses_.push_back(0);
  }
  return found->second;
}

NameId Parser::use(std::string_view name) {
  const NameId id = intern(name);
  ++uses_[id];
  return id;
}

void Parser::fail_if_unknown(size_t since) const {
  if (unknown_.size() <= since) return;
  const Token& token = tokens_[unknown_[since]];
  fail(token, "no filter or test named '" + token.text + "'");
}

bool Parser::at_end_tag(EndTags end_tags) const {
  return peek().kind == TokenKind::kName &&
         std::find(end_tags.begin(), end_tags.end(), peek().text) != end_tags.end();
}

/// Statements up to one of the end tags, whose name is the next token then; up to the end of the
/// template where there are no end tags.
Body Parser::parse_body(EndTags end_tags) {
  Body body;
  for (;;) {
    const Token& token = peek();
    switch (token.kind) {
      case TokenKind::kText:
        body.push_back(std::make_unique<Text>(token.line, token.text));
        ++at_;
        break;
      case TokenKind::kVariableBegin: {
        ++at_;
        auto print = std::make_unique<Print>(token.line);
        print->values.push_back(parse_tuple(true));
        expect_kind(TokenKind::kVariableEnd, "'}}'");
        body.push_back(std::move(print));
        break;
      }
      case TokenKind::kBlockBegin:
        ++at_;
        if (at_end_tag(end_tags)) return body;
        body.push_back(parse_statement());
        break;
      default:
        if (end_tags.size() == 0) return body;
        fail(token, "the template ends, but '" + std::string(*(end_tags.end() - 1)) +
                        "' is still to come");
    }
  }
}

/// The body of a block statement, from the end of its opening tag on.
Body Parser::parse_block_body(EndTags end_tags) {
  skip_operator(":");  // as in Python
  expect_kind(TokenKind::kBlockEnd, "'%}'");
  return parse_body(end_tags);
}

StatementPtr Parser::parse_statement() {
  const Nesting nesting(*this);
  if (peek().kind != TokenKind::kName) fail(peek(), "expected a tag, got " + describe(peek()));
  StatementPtr statement = parse_block_statement(peek().text);
  expect_kind(TokenKind::kBlockEnd, "'%}'");
  return statement;
}

StatementPtr Parser::parse_block_statement(const std::string& tag) {
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "print") return parse_print();
  if (tag == "break") return parse_jump(StatementKind::kBreak);
  if (tag == "continue") return parse_jump(StatementKind::kContinue);
  if (tag == "generation") return parse_scoped("endgeneration");
  if (tag == "block") return parse_named_block();
  if (tag == "autoescape") return parse_autoescape();
  if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
    return parse_loading();
  }
  fail(peek(), "unknown tag '" + tag + "'");
}

StatementPtr Parser::parse_print() {
  auto print = std::make_unique<Print>(advance().line);
  while (peek().kind != TokenKind::kBlockEnd) {
    if (!print->values.empty()) expect_operator(",");
    print->values.push_back(parse_expression());
  }
  return print;
}

StatementPtr Parser::parse_if() {
  auto statement = std::make_unique<If>(peek().line);
  const size_t unknown = unknown_.size();
  do {
    ++at_;  // "if" or "elif"
    If::Branch branch;
    branch.condition = parse_tuple(false);
    branch.body = parse_block_body({"elif", "else", "endif"});
    statement->branches.push_back(std::move(branch));
  } while (at_name("elif"));
  if (skip_name("else")) statement->otherwise = parse_block_body({"endif"});
  ++at_;  // "endif"
  forget_unknown(unknown);
  return statement;
}

StatementPtr Parser::parse_for() {
  auto loop = std::make_unique<For>(advance().line);
  const size_t unknown = unknown_.size();
  loop->target = parse_target(false, "in");
  if (!skip_name("in")) fail(peek(), "expected 'in', got " + describe(peek()));
  loop->iterable = parse_tuple(false, "recursive");
  if (skip_name("if")) loop->condition = parse_expression();
  loop->recursive = skip_name("recursive");
  const uint32_t uses = uses_[syntax_.loop];
  ++loops_;
  loop->body = parse_block_body({"endfor", "else"});
  --loops_;
  loop->uses_loop = loop->recursive || uses_[syntax_.loop] != uses;
  if (skip_name("else")) loop->otherwise = parse_block_body({"endfor"});
  ++at_;  // "endfor"
  fail_if_unknown(unknown);
  return loop;
}

StatementPtr Parser::parse_set() {
  const uint32_t line = advance().line;
  Target target = parse_target(true);
  if (skip_operator("=")) {
    auto statement = std::make_unique<Set>(line);
    statement->target = std::move(target);
    statement->value = parse_tuple(true);
    return statement;
  }
  auto statement = std::make_unique<SetBlock>(line);
  statement->target = std::move(target);
  while (skip_operator("|")) statement->filter = parse_filter(std::move(statement->filter));
  statement->body = parse_block_body({"endset"});
  ++at_;
  return statement;
}

void Parser::parse_signature(Macro& macro) {
  expect_operator("(");
  bool has_fallback = false;
  while (!at_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    const Token& name = expect_name();
    Parameter parameter;
    parameter.name = intern(name.text);
    for (const Parameter& other : macro.parameters) {
      if (other.name == parameter.name) fail(name, "two parameters '" + name.text + "'");
    }
    if (parameter.name == syntax_.caller && !at_operator("=")) {
      fail(name, "the parameter 'caller' needs a default");
    }
    if (skip_operator("=")) {
      parameter.fallback = parse_expression();
      has_fallback = true;
    } else if (has_fallback) {
      fail(name, "a parameter without default follows one with a default");
    }
    macro.parameters.push_back(std::move(parameter));
  }
  ++at_;
}

void Parser::parse_macro_body(Macro& macro, std::string_view end_tag) {
  const uint32_t loops = std::exchange(loops_, 0);  // a macro cannot leave a loop around it
  const size_t unknown = unknown_.size();
  const uint32_t caller = uses_[syntax_.caller];
  const uint32_t varargs = uses_[syntax_.varargs];
  const uint32_t kwargs = uses_[syntax_.kwargs];
  macro.body = parse_block_body({end_tag});
  ++at_;
  macro.uses_caller = uses_[syntax_.caller] != caller;
  macro.uses_varargs = uses_[syntax_.varargs] != varargs;
  macro.uses_kwargs = uses_[syntax_.kwargs] != kwargs;
  fail_if_unknown(unknown);
  loops_ = loops;
}

StatementPtr Parser::parse_macro() {
  auto macro = std::make_unique<Macro>(advance().line);
  macro->name = intern(expect_name().text);
  parse_signature(*macro);
  parse_macro_body(*macro, "endmacro");
  return macro;
}

StatementPtr Parser::parse_call_block() {
  const Token& tag = advance();
  auto block = std::make_unique<CallBlock>(tag.line);
  block->caller = std::make_unique<Macro>(tag.line);
  block->caller->name = syntax_.caller;
  if (at_operator("(")) parse_signature(*block->caller);
  block->call = parse_expression();
  if (block->call->kind != ExpressionKind::kCall) fail(tag, "expected a call");
  parse_macro_body(*block->caller, "endcall");
  return block;
}

StatementPtr Parser::parse_filter_block() {
  auto block = std::make_unique<FilterBlock>(advance().line);
  block->filter = parse_filter(nullptr);
  while (skip_operator("|")) block->filter = parse_filter(std::move(block->filter));
  block->body = parse_block_body({"endfilter"});
  ++at_;
  return block;
}

StatementPtr Parser::parse_with() {
  auto with = std::make_unique<With>(advance().line);
  while (peek().kind != TokenKind::kBlockEnd && !at_operator(":")) {
    if (!with->values.empty()) expect_operator(",");
    Target target = parse_single_target(false);
    expect_operator("=");
    with->values.emplace_back(std::move(target), parse_expression());
  }
  with->body = parse_block_body({"endwith"});
  ++at_;
  return with;
}

StatementPtr Parser::parse_jump(StatementKind kind) {
  const Token& tag = advance();
  if (loops_ == 0) fail(tag, "'" + tag.text + "' outside of a loop");
  return std::make_unique<Jump>(kind, tag.line);
}

StatementPtr Parser::parse_scoped(std::string_view end_tag) {
  auto scoped = std::make_unique<Scoped>(advance().line);
  const uint32_t loops = std::exchange(loops_, 0);
  scoped->body = parse_block_body({end_tag});
  ++at_;
  loops_ = loops;
  return scoped;
}

StatementPtr Parser::parse_named_block() {
  auto scoped = std::make_unique<Scoped>(advance().line);
  const Token& token = expect_name();
  const std::string name = token.text;
  if (std::find(blocks_.begin(), blocks_.end(), name) != blocks_.end()) {
    fail(token, "block '" + name + "' is defined twice");
  }
  blocks_.push_back(name);
  scoped->from_root = !skip_name("scoped");
  skip_name("required");
  const uint32_t loops = std::exchange(loops_, 0);
  scoped->body = parse_block_body({"endblock"});
  ++at_;
  skip_name(name);
  loops_ = loops;
  return scoped;
}

StatementPtr Parser::parse_autoescape() {
  const Token& mode = peek(1);
  if (mode.text != "false" && mode.text != "False") {
    fail(mode, "chat templates are plain text: autoescape can only be false");
  }
  ++at_;
  return parse_scoped("endautoescape");
}

StatementPtr Parser::parse_loading() {
  const Token& tag = advance();
  while (peek().kind != TokenKind::kBlockEnd && peek().kind != TokenKind::kEnd) ++at_;
  return std::make_unique<Unsupported>(
      tag.line, "'" + tag.text + "' has nothing to load from: a chat template stands alone");
}

Target Parser::parse_single_target(bool with_members) {
  const Nesting nesting(*this);
  if (skip_operator("(")) {
    Target target = parse_target(with_members);
    expect_operator(")");
    return target;
  }
  const Token& token = expect_name();
  constexpr std::string_view kConstants[] = {"true", "True", "false", "False", "none", "None"};
  for (const std::string_view constant : kConstants) {
    if (token.text == constant) fail(token, "cannot assign to '" + token.text + "'");
  }
  Target target;
  target.line = token.line;
  if (with_members && skip_operator(".")) {
    target.kind = Target::Kind::kMember;
    target.member = expect_name().text;
    target.name = use(token.text);
  } else {
    target.name = intern(token.text);
  }
  return target;
}

Target Parser::parse_target(bool with_members, std::string_view end_name) {
  Target first = parse_single_target(with_members);
  if (!at_operator(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::kTuple;
  tuple.line = first.line;
  tuple.parts.push_back(std::move(first));
  while (skip_operator(",")) {
    if (at_tuple_end(end_name) || at_operator("=")) break;
    tuple.parts.push_back(parse_single_target(with_members));
  }
  return tuple;
}

}  // namespace omg::jinja
