-- What PostGraphile is given beside our tables, in a schema of the benchmark's own.
CREATE SCHEMA reading;

-- The history of a work order: the audit trail names its entities by kind and key, which no foreign key can follow.
CREATE FUNCTION reading.work_orders_workorder_history(work_order public.work_orders_workorder)
RETURNS SETOF public.audit_auditentry LANGUAGE sql STABLE AS $$
    SELECT * FROM public.audit_auditentry
    WHERE tenant_id = work_order.tenant_id AND entity_kind = 'WorkOrder' AND entity_id = work_order.id
    ORDER BY id DESC
$$;

-- What SUBMIT comes to: the order at the version that was seen gets its status, and the audit trail an entry.
CREATE FUNCTION reading.submit_work_order(tenant bigint, actor bigint, work_order bigint, seen bigint)
RETURNS public.work_orders_workorder LANGUAGE plpgsql VOLATILE AS $$
DECLARE submitted public.work_orders_workorder;
BEGIN
    UPDATE public.work_orders_workorder SET status = 'SUBMITTED', version = version + 1, updated_at = now()
    WHERE id = work_order AND tenant_id = tenant AND version = seen AND status = 'DRAFT'
    RETURNING * INTO submitted;
    IF NOT FOUND THEN
        RAISE 'Somebody else has changed it.';
    END IF;
    INSERT INTO public.audit_auditentry (tenant_id, at, actor_id, command, comment, correlation_id, source, action,
        entity_kind, entity_id, entity_version, changes)
    VALUES (tenant, now(), actor, '', '', '', 'graphql', 'SUBMIT', 'WorkOrder', work_order, submitted.version,
        '[{"field": "status", "before": "DRAFT", "after": "SUBMITTED"}]');
    RETURN submitted;
END
$$;

-- An index serves this reference, though not by both of its columns, which is what PostGraphile looks for.
COMMENT ON CONSTRAINT task_work_order_tenant ON public.tasks_task IS E'@isIndexed';
