/*
 * "make lint" for docs/openapi.yaml: the rules of @redocly/openapi-core, and
 * whether the tests' own reader (t/lib/Ctseg/Yaml.pm) reads what a complete
 * one does.
 *
 *   NODE_PATH=... node t/tools/openapi/lint.js docs/openapi.yaml
 *
 * Says nothing when all is well.
 */

'use strict';

const { execFileSync } = require('child_process');
const { readFileSync } = require('fs');
const { isDeepStrictEqual } = require('util');
const path = require('path');

const { createConfig, formatProblems, getTotals, lint, parseYaml }
    = require('@redocly/openapi-core');

const rules = {

    /* the catalog and the status know no wrong request */

    'operation-4xx-response': 'off',

    /* /exports/preview goes before /exports/{id}, as OpenAPI has it */

    'no-ambiguous-paths': 'off',

    /* curl in the docs goes to 127.0.0.1 */

    'no-server-example.com': 'off',

    /* schemas say themselves what is closed; "if" and "not" are open */

    'no-invalid-media-type-examples': {
        severity: 'error',
        allowAdditionalProperties: true,
    },

    'array-parameter-serialization': 'error',
    'component-name-unique': 'error',
    'no-duplicated-tag-names': 'error',
    'no-invalid-parameter-examples': {
        severity: 'error',
        allowAdditionalProperties: true,
    },
    'operation-tag-defined': 'error',
    'path-params-defined': 'error',
    'paths-kebab-case': 'error',
    'tag-description': 'error',
};


async function rulesOf(file) {
    const config = await createConfig({ extends: ['recommended-strict'],
        rules });
    const problems = (await lint({ ref: file, config })).filter((p) => {

        /* it is used by x-otherwise, which is ours */

        return p.ruleId !== 'no-unused-components'
            || !p.location[0].pointer.endsWith('/MethodNotAllowed');
    });

    if (problems.length !== 0) {
        formatProblems(problems, { format: 'codeframe',
            totals: getTotals(problems), version: '', color: false });
    }

    return problems.length;
}


function readersOf(file) {
    const lib = path.join(__dirname, '..', '..', 'lib');
    const perl = execFileSync('perl', ['-I' + lib, '-MJSON::PP',
        '-MCtseg::Yaml=yaml_decode', '-e', 'local $/; print JSON::PP->new'
        + '->utf8->allow_nonref->encode(yaml_decode(<STDIN>))'],
        { input: readFileSync(file), maxBuffer: 1 << 26 });

    if (isDeepStrictEqual(JSON.parse(perl),
        JSON.parse(JSON.stringify(parseYaml(readFileSync(file, 'utf8'))))))
    {
        return 0;
    }

    console.error(`${file}: t/lib/Ctseg/Yaml.pm reads something else`);
    return 1;
}


async function main(file) {
    process.exitCode = await rulesOf(file) + readersOf(file) === 0 ? 0 : 1;
}


main(process.argv[2]).catch((e) => {
    console.error(e);
    process.exitCode = 1;
});
