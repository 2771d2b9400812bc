#include "model/tokenizer/jinja/parser.h"

#include "model/tokenizer/jinja/expression_parser.h"

namespace weft::jinja {
namespace {

constexpr int kMaxNesting = 100;

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
    if (++nesting_ > kMaxNesting) fail("blocks nested too deeply");
    Block block;
    while (peek().kind != TokenKind::kEnd) {
      Statement statement;
      statement.line = peek().line;
      if (peek().kind == TokenKind::kText) {
        statement.text = next().text;
      } else if (peek().kind == TokenKind::kOutputBegin) {
        next();
        statement.kind = StatementKind::kOutput;
        statement.value = parse_expression();
        expect(TokenKind::kOutputEnd, "'}}'");
      } else {
        expect(TokenKind::kBlockBegin, "a block");
        for (const std::string_view end : ends) {
          if (!is_name(end)) continue;
          --nesting_;
          end_ = next().text;
          return block;
        }
        parse_statement(statement);
      }
      block.push_back(std::move(statement));
    }
    if (ends.size() > 0) fail("expected {% " + std::string(*ends.begin()) + " %}");
    --nesting_;
    return block;
  }

  void parse_statement(Statement& statement) {
    if (accept_name("if")) {
      parse_if(statement);
    } else if (accept_name("for")) {
      parse_for(statement);
    } else if (accept_name("set")) {
      parse_set(statement);
    } else if (accept_name("macro")) {
      parse_macro(statement);
    } else if (accept_name("generation")) {
      statement.kind = StatementKind::kBlock;
      end_tag();
      statement.body = parse_block({"endgeneration"});
    } else if (accept_name("break")) {
      statement.kind = StatementKind::kBreak;
    } else if (accept_name("continue")) {
      statement.kind = StatementKind::kContinue;
    } else {
      fail("unknown block");
    }
    end_tag();
  }

  void end_tag() { expect(TokenKind::kBlockEnd, "'%}'"); }

  void parse_if(Statement& statement) {
    statement.kind = StatementKind::kIf;
    statement.value = parse_expression();
    end_tag();
    statement.body = parse_block({"endif", "else", "elif"});
    if (end_ == "elif") {
      Statement other;
      other.line = peek().line;
      parse_if(other);
      statement.other.push_back(std::move(other));
    } else if (end_ == "else") {
      end_tag();
      statement.other = parse_block({"endif"});
    }
  }

  void parse_for(Statement& statement) {
    statement.kind = StatementKind::kFor;
    const bool parenthesis = accept_operator("(");
    do {
      statement.names.push_back(expect_identifier());
    } while (accept_operator(","));
    if (parenthesis) expect_operator(")");
    if (!accept_name("in")) fail("expected 'in'");
    statement.value = parse_or();
    if (accept_name("if")) statement.condition = parse_expression();
    end_tag();
    statement.body = parse_block({"endfor", "else"});
    if (end_ == "else") {
      end_tag();
      statement.other = parse_block({"endfor"});
    }
  }

  void parse_set(Statement& statement) {
    statement.kind = StatementKind::kSet;
    statement.names.push_back(expect_identifier());
    if (accept_operator(".")) statement.names.push_back(expect_identifier());
    if (accept_operator("=")) {
      statement.value = parse_expression();
      return;
    }
    if (statement.names.size() > 1) fail("expected '='");
    statement.kind = StatementKind::kSetBlock;
    end_tag();
    statement.body = parse_block({"endset"});
  }

  void parse_macro(Statement& statement) {
    statement.kind = StatementKind::kMacro;
    statement.text = expect_identifier();
    expect_operator("(");
    while (!accept_operator(")")) {
      statement.names.push_back(expect_identifier());
      statement.defaults.push_back(accept_operator("=") ? parse_expression() : nullptr);
      if (!is_operator(")")) expect_operator(",");
    }
    end_tag();
    statement.body = parse_block({"endmacro"});
    if (peek().kind == TokenKind::kName) next();  // {% endmacro name %}
  }

  std::string end_;
  int nesting_ = 0;
};

}  // namespace

Block parse(std::string_view source) { return Parser(source).run(); }

}  // namespace weft::jinja
