import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['node_modules/', 'build/', '.bootswarm/'] },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'bootstrap/**/*.ts', 'images/**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      // A parameter that only keeps its place says so by its name.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }]
    }
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      // A double of a node leaves out on purpose what its test is not about.
      '@typescript-eslint/switch-exhaustiveness-check': 'off'
    }
  },
  {
    // What decides must be replayable from a seed (DESIGN: scheduler/ is pure).
    files: ['src/scheduler/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'use the Random passed in' },
        { object: 'Date', property: 'now', message: 'use the time passed in' },
        { object: 'performance', property: 'now', message: 'use the time passed in' }
      ],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate']
    }
  }
)
