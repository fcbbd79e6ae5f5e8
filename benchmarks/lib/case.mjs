// One measurement in a process of its own: reads the job, runs it, sends the result to its parent.
import { once } from 'node:events';
import { cases } from '../cases/cases.mjs';
import { subjects } from './subjects.mjs';

const [job] = await once(process, 'message');
const result = await cases[job.case](subjects[job.subject], job);
process.send(result, () => process.exit());
