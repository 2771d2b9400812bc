#include "model/tokenizer/jinja/parser.h"

#include <tuple>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/jinja/expression_parser.h"

namespace weft::jinja {
namespace {

constexpr size_t kMaxTemplateBytes = 1'000'000;

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(tokenize(source)) {}

  Block run() {
    Block block = parse_block({});
    if (peek().kind != TokenKind::kEnd) fail("unexpected block");
    return block;
  }

 private:
  // Until one of `ends` opens a block; its name is read, the rest of its tag is not.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(*this);
    Block block;
    while (peek().kind != TokenKind::kEnd) {
      Statement statement;
      statement.line = peek().line;
      if (peek().kind == TokenKind::kText) {
        statement.text = next().text;
      } else if (peek().kind == TokenKind::kOutputBegin) {
        next();
        statement.kind = StatementKind::kOutput;
        statement.value = parse_tuple(true);
        expect(TokenKind::kOutputEnd, "'}}'");
      } else {
        expect(TokenKind::kBlockBegin, "a block");
        for (const std::string_view end : ends) {
          if (!is_name(end)) continue;
          end_ = next().text;
          return block;
        }
        parse_statement(statement);
      }
      block.push_back(std::move(statement));
    }
    if (ends.size() > 0) fail("expected {% " + std::string(*ends.begin()) + " %}");
    return block;
  }

  // The rest of an opening tag, the block, and the name of its end.
  Block parse_body(std::initializer_list<std::string_view> ends) {
    end_tag();
    return parse_block(ends);
  }

  void parse_statement(Statement& statement) {
    if (accept_name("if")) {
      parse_if(statement);
    } else if (accept_name("for")) {
      parse_for(statement);
    } else if (accept_name("set")) {
      parse_set(statement);
    } else if (accept_name("macro")) {
      statement.text = target_name();
      parse_macro(statement, StatementKind::kMacro, "endmacro");
    } else if (accept_name("call")) {
      parse_macro(statement, StatementKind::kCall, "endcall");
    } else if (accept_name("filter")) {
      statement.kind = StatementKind::kFilter;
      statement.value = parse_filter(make(ExprKind::kName, kCapturedText), true);
      statement.body = parse_body({"endfilter"});
    } else if (accept_name("with")) {
      parse_with(statement);
    } else if (accept_name("generation")) {
      statement.kind = StatementKind::kScope;
      const int loops = std::exchange(loops_, 0);
      statement.body = parse_body({"endgeneration"});
      loops_ = loops;
    } else if (is_name("break") || is_name("continue")) {
      if (loops_ == 0) fail("expected a loop around it");
      statement.kind = is_name("break") ? StatementKind::kBreak : StatementKind::kContinue;
      next();
    } else {
      fail("unknown block");
    }
    end_tag();
  }

  void end_tag() { expect(TokenKind::kBlockEnd, "'%}'"); }

  std::string target_name() {
    for (const char* constant : {"true", "false", "none", "True", "False", "None"}) {
      if (is_name(constant)) fail("expected a name");
    }
    return expect_identifier();
  }

  void parse_targets(Statement& statement) {
    const bool parenthesis = accept_operator("(");
    do {
      if (!statement.names.empty()) statement.unpacks = true;
      if (!statement.names.empty() && peek().kind != TokenKind::kName) break;
      statement.names.push_back(target_name());
    } while (accept_operator(","));
    if (parenthesis) expect_operator(")");
  }

  void parse_if(Statement& statement) {
    statement.kind = StatementKind::kIf;
    do {
      Branch branch;
      branch.condition = parse_tuple(false);
      branch.body = parse_body({"endif", "else", "elif"});
      statement.branches.push_back(std::move(branch));
    } while (end_ == "elif");
    if (end_ == "else") statement.other = parse_body({"endif"});
  }

  void parse_for(Statement& statement) {
    statement.kind = StatementKind::kFor;
    parse_targets(statement);
    if (!accept_name("in")) fail("expected 'in'");
    statement.value = parse_tuple(false);
    if (accept_name("if")) statement.condition = parse_expression();
    if (is_name("recursive")) fail("recursive loops are not known here");
    ++loops_;
    statement.body = parse_body({"endfor", "else"});
    --loops_;
    if (end_ == "else") statement.other = parse_body({"endfor"});
  }

  void parse_set(Statement& statement) {
    statement.kind = StatementKind::kSet;
    parse_targets(statement);
    if (accept_operator(".")) {
      if (statement.unpacks) fail("expected '='");
      statement.text = expect_identifier();
    }
    if (accept_operator("=")) {
      statement.value = parse_tuple(true);
      return;
    }
    statement.kind = StatementKind::kSetBlock;
    if (is_operator("|")) {
      statement.value = parse_filter(make(ExprKind::kName, kCapturedText), false);
    }
    statement.body = parse_body({"endset"});
  }

  void parse_with(Statement& statement) {
    statement.kind = StatementKind::kWith;
    while (peek().kind != TokenKind::kBlockEnd) {
      if (!statement.names.empty()) expect_operator(",");
      statement.names.push_back(target_name());
      expect_operator("=");
      statement.defaults.push_back(parse_expression());
    }
    statement.body = parse_body({"endwith"});
  }

  void parse_signature(Statement& statement) {
    expect_operator("(");
    while (!accept_operator(")")) {
      if (!statement.names.empty()) expect_operator(",");
      statement.names.push_back(target_name());
      const bool has_default = accept_operator("=");
      if (!has_default && !statement.defaults.empty() && statement.defaults.back()) {
        fail("a parameter without a default follows one that has it");
      }
      statement.defaults.push_back(has_default ? parse_expression() : nullptr);
    }
  }

  void parse_macro(Statement& statement, StatementKind kind, std::string_view end) {
    statement.kind = kind;
    if (kind == StatementKind::kMacro || is_operator("(")) parse_signature(statement);
    if (kind == StatementKind::kCall) {
      statement.value = parse_expression();
      if (statement.value->kind != ExprKind::kCall) fail("expected a call");
    }
    const auto outer = std::tuple(names_varargs_, names_kwargs_, names_caller_, loops_);
    names_varargs_ = names_kwargs_ = names_caller_ = false;
    loops_ = 0;
    statement.body = parse_body({end});
    statement.takes_varargs = names_varargs_;
    statement.takes_kwargs = names_kwargs_;
    statement.takes_caller = names_caller_;
    std::tie(names_varargs_, names_kwargs_, names_caller_, loops_) = outer;
  }

  std::string end_;
  int loops_ = 0;  // around the statement, in the same macro
};

}  // namespace

Block parse(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    throw InputError("chat template: expected at most " + std::to_string(kMaxTemplateBytes) +
                     " bytes, got " + std::to_string(source.size()));
  }
  return Parser(source).run();
}

}  // namespace weft::jinja
